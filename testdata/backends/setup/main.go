// Command setup makes the real servers of the tests ready ahead of time: it builds or fetches whatever the user's cache
// lacks. On Debian, as root, it first installs the system packages that are missing; elsewhere it says which they are.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/release-assay/assay/testdata/backends"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "setup:", err)
		os.Exit(1)
	}
}

func run() error {
	if missing := backends.Missing(); len(missing) > 0 {
		if err := install(missing); err != nil {
			return err
		}
	}
	return backends.Prepare(os.Stdout)
}

// install brings in Debian packages, and fails with their names where it cannot.
func install(packages []string) error {
	names := strings.Join(packages, " ")
	if _, err := exec.LookPath("apt-get"); err != nil || os.Geteuid() != 0 {
		return fmt.Errorf("the tests need Java 17 or newer, Maven and systemd-analyze; install %s (as root on Debian this program does it), then run it again", names)
	}
	fmt.Println("installing", names)
	if err := apt("update"); err != nil {
		return err
	}
	// Debian releases differ in the Java they have; the default of any that lacks 17 is newer.
	if i := slices.Index(packages, "openjdk-17-jre-headless"); i >= 0 && apt("install", "--simulate", packages[i]) != nil {
		packages[i] = "default-jre-headless"
	}
	if err := apt(append([]string{"install", "--no-install-recommends"}, packages...)...); err != nil {
		return err
	}
	if missing := backends.Missing(); len(missing) > 0 {
		return errors.New("still missing after the installation: " + strings.Join(missing, " "))
	}
	return nil
}

// apt runs apt-get without questions, waits for another that is at work, and shows what it printed only if it fails.
func apt(args ...string) error {
	cmd := exec.Command("apt-get", append([]string{"-q", "-y", "-o", "DPkg::Lock::Timeout=300"}, args...)...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("apt-get %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

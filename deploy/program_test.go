package deploy

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// program is the program as the Containerfile builds it.
var program string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "assay-deploy-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "assay")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w -X main.version=1.2.3", "-o", program, "./cmd/assay")
	cmd.Dir, cmd.Env = "..", append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build assay: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// instructions lists the instructions of the Containerfile with their arguments.
func instructions(t *testing.T) (list [][2]string) {
	text := strings.ReplaceAll(read(t, "Containerfile"), "\\\n", " ")
	for _, line := range strings.Split(text, "\n") {
		if word, rest, ok := strings.Cut(line, " "); ok && word != "#" {
			list = append(list, [2]string{word, strings.TrimSpace(rest)})
		}
	}
	return list
}

// TestContainerfile wants the last stage to hold nothing but what is copied, to run
// as a number that is not root, and to be built as TestMain builds.
func TestContainerfile(t *testing.T) {
	all := instructions(t)
	last := 0
	for i, in := range all {
		if in[0] == "FROM" {
			last = i
		}
		if i > 0 && in[0] == "ADD" {
			t.Error("ADD unpacks and downloads: use COPY")
		}
	}
	image := map[string]string{}
	for _, in := range all[last:] {
		image[in[0]] = in[1]
		if in[0] == "RUN" {
			t.Error("the last stage has no shell to run anything")
		}
	}
	for instruction, want := range map[string]string{
		"FROM": "scratch", "USER": "65532:65532", "EXPOSE": "8080 4317 4318", "ENTRYPOINT": `["/usr/local/bin/assay"]`, "VOLUME": "/var/lib/assay",
	} {
		if image[instruction] != want {
			t.Errorf("%s %s, want %s", instruction, image[instruction], want)
		}
	}
	const build = `CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /out/assay ./cmd/assay`
	if !slices.Contains(all, [2]string{"RUN", build}) {
		t.Errorf("the program is not built by %s, as this test does", build)
	}
	if wanted := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(read(t, "../go.mod")); wanted == nil || all[0][1] != "docker.io/library/golang:"+wanted[1]+" AS build" {
		t.Errorf("FROM %s, want the Go of go.mod, %v", all[0][1], wanted)
	}
}

// TestStatic wants a program that needs no loader and no library.
func TestStatic(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("images are for Linux")
	}
	f, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("the program has a segment %v", p.Type)
		}
	}
	info, err := os.Stat(program)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d MiB", info.Size()>>20)
}

// TestAloneInAnEmptyRoot runs the command of the image in a root that holds the
// program and an empty directory, as the user of the image, which is as near to the
// container as one comes without an engine.
func TestAloneInAnEmptyRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can change the root directory")
	}
	root := t.TempDir()
	binary, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(root, "var/lib/assay")
	if err := errors.Join(
		os.MkdirAll(filepath.Join(root, "usr/local/bin"), 0o755), os.MkdirAll(data, 0o750), os.Chown(data, 65532, 65532),
		os.WriteFile(filepath.Join(root, "usr/local/bin/assay"), binary, 0o755),
	); err != nil {
		t.Fatal(err)
	}
	// Whatever the umask, another user has to get there, and owns nothing else.
	for _, dir := range []string{"", "usr", "usr/local", "usr/local/bin", "usr/local/bin/assay", "var", "var/lib"} {
		if err := os.Chmod(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	args, addresses := imageCommand(t)
	cmd := exec.Command("/usr/local/bin/assay", append(args, "--kafka", free(t))...)
	var log strings.Builder
	cmd.Dir, cmd.Env, cmd.Stderr = "/var/lib/assay", []string{"PATH=/usr/local/bin"}, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: 65532, Gid: 65532, NoSetGroups: false}}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	defer cmd.Process.Kill()

	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		res, err := http.Get("http://" + addresses["--http"] + "/-/ready")
		if err == nil {
			io.Copy(io.Discard, res.Body)
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				t.Logf("ready after %v", time.Since(began).Round(10*time.Millisecond))
				break
			}
		}
		if time.Since(began) > 30*time.Second {
			cmd.Process.Kill()
			<-exited
			t.Fatalf("not ready: %v\n%s", err, log.String())
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-exited:
		if err != nil {
			t.Errorf("ended with %v\n%s", err, log.String())
		}
	case <-time.After(15 * time.Second):
		t.Fatal("did not end within the 15 s that all recipes give it")
	}
	err = filepath.WalkDir(root, func(name string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !strings.HasPrefix(name, data+"/") && filepath.Base(name) != "assay" {
			t.Errorf("wrote outside of its directory: %s", name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// imageCommand is CMD with every address on a free port of loopback.
func imageCommand(t *testing.T) (args []string, addresses map[string]string) {
	t.Helper()
	addresses = map[string]string{}
	for _, in := range instructions(t) {
		if in[0] == "CMD" {
			args = list(t, in[1])
		}
	}
	for i, arg := range args {
		if strings.HasPrefix(arg, "0.0.0.0:") {
			args[i] = free(t)
			addresses[args[i-1]] = args[i]
		}
	}
	if len(addresses) != 3 {
		t.Fatalf("CMD %v listens on %d addresses, want 3", args, len(addresses))
	}
	return args, addresses
}

func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestFlags looks up every flag of every recipe in the help of the program.
func TestFlags(t *testing.T) {
	help, err := exec.Command(program, "serve", "--help").CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	check := func(where string, args []string) {
		if len(args) == 0 || args[0] != "serve" {
			t.Errorf("%s: %v does not serve", where, args)
		}
		for _, arg := range args {
			if flag, _, _ := strings.Cut(arg, "="); strings.HasPrefix(flag, "--") {
				found++
				if !regexp.MustCompile(`(?m)^\s+(-\w, )?` + regexp.QuoteMeta(flag) + `\s`).Match(help) {
					t.Errorf("%s: assay serve has no flag %s", where, flag)
				}
			}
		}
	}
	for _, in := range instructions(t) {
		if in[0] == "CMD" {
			check("Containerfile", list(t, in[1]))
		}
	}
	check("compose.yaml", compose(t).Services["assay"].Command)
	check("assay.service", strings.Fields(unit(t)["ExecStart"][0])[1:])
	check("helm", render(t, everythingOn).set(t).Spec.Template.Spec.Containers[0].Args)
	if found < 10 {
		t.Errorf("only %d flags were found", found)
	}
	if out, err := exec.Command(program, "version").Output(); err != nil || string(out) != "assay 1.2.3\n" {
		t.Errorf("version: %q %v", out, err)
	}
}

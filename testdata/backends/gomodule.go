package backends

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// goProgram is a program that Go builds from a nested module of that name. The version is the one at which its go.mod
// requires the given module; all that lies in the folder is part of the recipe.
func goProgram(name, required string, what ...string) (artifact, error) {
	here, err := home()
	if err != nil {
		return artifact{}, err
	}
	module := filepath.Join(here, name)
	files, err := filepath.Glob(filepath.Join(module, "*"))
	if err != nil {
		return artifact{}, err
	}
	slices.Sort(files)
	var recipe []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return artifact{}, fmt.Errorf("read the recipe of %s: %w", name, err)
		}
		recipe = append(recipe, filepath.Base(file), string(text))
	}
	i := slices.Index(recipe, "go.mod")
	if i < 0 {
		return artifact{}, fmt.Errorf("%s has no go.mod", module)
	}
	m := regexp.MustCompile(`(?m)^\s*(?:require )?` + regexp.QuoteMeta(required) + ` (v\d+\.\d+\.\d+)(?: // indirect)?$`).FindStringSubmatch(recipe[i+1])
	if m == nil {
		return artifact{}, fmt.Errorf("%s requires no %s vX.Y.Z", filepath.Join(module, "go.mod"), required)
	}
	args := append([]string{"build", "-trimpath", "-ldflags", "-s -w"}, what...)
	a := artifact{name: name, version: m[1], recipe: append(recipe, args...)}
	a.build = func(dir string, out io.Writer) error {
		program, err := exec.LookPath("go")
		if err != nil {
			return fmt.Errorf("%w; %s is built from source: put Go's bin directory on PATH", err, name)
		}
		cmd := exec.Command(program, slices.Insert(slices.Clone(args), 1, "-o", filepath.Join(dir, name))...)
		cmd.Dir, cmd.Stdout, cmd.Stderr = module, out, out
		env := slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "GOFLAGS=") })
		cmd.Env = append(env, "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-mod=readonly -buildvcs=false")
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("go build in %s: %w", module, err)
		}
		return nil
	}
	return a, nil
}

//go:build !linux

package powertest

import "errors"

func serve(_, _, _ string) error {
	return errors.New("disks whose power is cut are made on Linux only")
}

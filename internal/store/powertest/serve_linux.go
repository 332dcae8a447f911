package powertest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// serve shows backing at mount until standard input ends, and writes the log.
func serve(backing, mount, log string) error {
	rec := &recorder{files: map[string]int{}}
	loop := &fs.LoopbackRoot{Path: backing}
	root := &node{&fs.LoopbackNode{RootData: loop}, rec}
	loop.RootNode = root
	server, err := fs.Mount(mount, root, &fs.Options{
		MountOptions: fuse.MountOptions{DirectMount: true, FsName: "powertest", Name: "powertest", DisableXAttrs: true},
	})
	if err != nil {
		return err
	}
	fmt.Println("mounted")
	_, _ = io.Copy(io.Discard, os.Stdin)
	if err := server.Unmount(); err != nil {
		// Something is open still: it is taken away, or the folder could never be removed.
		return errors.Join(fmt.Errorf("unmount: %w", err), syscall.Unmount(mount, syscall.MNT_DETACH))
	}
	server.Wait()
	return rec.save(log)
}

// recorder is the log in the making. A deed is done and noted under its lock, so that
// the order of the log is the order of the deeds.
type recorder struct {
	sync.Mutex
	log   []entry
	files map[string]int // by their present names
	last  int
}

func (r *recorder) save(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	return errors.Join(gob.NewEncoder(w).Encode(r.log), w.Flush(), f.Close())
}

// node is a file or a folder of the disk.
type node struct {
	*fs.LoopbackNode
	rec *recorder
}

// handle is an open file. It keeps its number when its name is gone.
type handle struct {
	*fs.LoopbackFile
	file int
}

// PassthroughFd refuses that the kernel goes around the recorder.
func (h *handle) PassthroughFd() (int, bool) { return 0, false }

func (n *node) WrapChild(_ context.Context, child fs.InodeEmbedder) fs.InodeEmbedder {
	return &node{child.(*fs.LoopbackNode), n.rec}
}

// name is where the node is, or its child.
func (n *node) name(child string) string {
	return filepath.Join(".", n.Path(n.Root()), child)
}

func (n *node) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	n.rec.Lock()
	defer n.rec.Unlock()
	inode, file, kept, errno := n.LoopbackNode.Create(ctx, name, flags, mode, out)
	if errno != 0 {
		return nil, nil, 0, errno
	}
	path := n.name(name)
	number, there := n.rec.files[path]
	if !there {
		n.rec.last++
		number = n.rec.last
		n.rec.files[path] = number
		if path != markName {
			n.rec.log = append(n.rec.log, entry{Deed: created, File: number, Name: path})
		}
	} else if flags&syscall.O_TRUNC != 0 {
		n.rec.log = append(n.rec.log, entry{Deed: resized, File: number})
	}
	return inode, &handle{file.(*fs.LoopbackFile), number}, kept, 0
}

func (n *node) Open(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	n.rec.Lock()
	defer n.rec.Unlock()
	file, kept, errno := n.LoopbackNode.Open(ctx, flags)
	if errno != 0 {
		return nil, 0, errno
	}
	number := n.rec.files[n.name("")]
	if flags&syscall.O_TRUNC != 0 {
		n.rec.log = append(n.rec.log, entry{Deed: resized, File: number})
	}
	return &handle{file.(*fs.LoopbackFile), number}, kept, 0
}

func (n *node) Write(ctx context.Context, f fs.FileHandle, data []byte, offset int64) (uint32, syscall.Errno) {
	n.rec.Lock()
	defer n.rec.Unlock()
	h := f.(*handle)
	e := entry{Deed: wrote, File: h.file, Offset: offset, Data: bytes.Clone(data)}
	if h.file == n.rec.files[markName] {
		n.rec.log = append(n.rec.log, entry{Deed: marked, Data: e.Data})
		return uint32(len(data)), 0
	}
	written, errno := h.LoopbackFile.Write(ctx, data, offset)
	e.Data = e.Data[:written]
	if errno == 0 {
		n.rec.log = append(n.rec.log, e)
	}
	return written, errno
}

func (n *node) Setattr(ctx context.Context, f fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	n.rec.Lock()
	defer n.rec.Unlock()
	errno := n.LoopbackNode.Setattr(ctx, f, in, out)
	size, resizes := in.GetSize()
	if errno != 0 || !resizes {
		return errno
	}
	number := n.rec.files[n.name("")]
	if h, open := f.(*handle); open {
		number = h.file
	}
	n.rec.log = append(n.rec.log, entry{Deed: resized, File: number, Offset: int64(size)})
	return 0
}

// Allocate is refused: whoever sets space aside writes zeros then.
func (n *node) Allocate(context.Context, fs.FileHandle, uint64, uint64, uint32) syscall.Errno {
	return syscall.EOPNOTSUPP
}

// Fsync is noted and not done: the folder behind is never read after a loss of power.
func (n *node) Fsync(_ context.Context, f fs.FileHandle, _ uint32) syscall.Errno {
	n.rec.Lock()
	defer n.rec.Unlock()
	if h, ok := f.(*handle); ok {
		n.rec.log = append(n.rec.log, entry{Deed: synced, File: h.file})
	}
	return 0
}

// OpendirHandle hides the one of the loopback, whose fsync would not be noted.
func (n *node) OpendirHandle(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	stream, kept, errno := n.LoopbackNode.OpendirHandle(ctx, flags)
	if errno != 0 {
		return nil, 0, errno
	}
	return &folder{stream.(listing), n}, kept, 0
}

// listing is what a loopback's open folder can do that is used here.
type listing interface {
	fs.FileReaddirenter
	fs.FileReleasedirer
	fs.FileSeekdirer
}

type folder struct {
	listing
	node *node
}

// Fsyncdir is noted.
func (f *folder) Fsyncdir(context.Context, uint32) syscall.Errno {
	rec := f.node.rec
	rec.Lock()
	defer rec.Unlock()
	rec.log = append(rec.log, entry{Deed: syncedDir, Name: f.node.name("")})
	return 0
}

func (n *node) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	n.rec.Lock()
	defer n.rec.Unlock()
	inode, errno := n.LoopbackNode.Mkdir(ctx, name, mode, out)
	if errno == 0 {
		n.rec.log = append(n.rec.log, entry{Deed: madeDir, Name: n.name(name)})
	}
	return inode, errno
}

func (n *node) Unlink(ctx context.Context, name string) syscall.Errno {
	n.rec.Lock()
	defer n.rec.Unlock()
	errno := n.LoopbackNode.Unlink(ctx, name)
	if errno == 0 {
		delete(n.rec.files, n.name(name))
		n.rec.log = append(n.rec.log, entry{Deed: removed, Name: n.name(name)})
	}
	return errno
}

func (n *node) Rename(ctx context.Context, name string, parent fs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	n.rec.Lock()
	defer n.rec.Unlock()
	to, ok := parent.(*node)
	if !ok || flags != 0 || n.rec.files[n.name(name)] == 0 {
		return syscall.EINVAL // folders are not renamed
	}
	errno := n.LoopbackNode.Rename(ctx, name, to, newName, flags)
	if errno == 0 {
		from, path := n.name(name), to.name(newName)
		n.rec.files[path] = n.rec.files[from]
		delete(n.rec.files, from)
		n.rec.log = append(n.rec.log, entry{Deed: renamed, Name: from, To: path})
	}
	return errno
}

// What would give a file a second name, or none, is not recorded and therefore refused.

func (n *node) Link(context.Context, fs.InodeEmbedder, string, *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	return nil, syscall.EPERM
}

func (n *node) Symlink(context.Context, string, string, *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	return nil, syscall.EPERM
}

func (n *node) Rmdir(context.Context, string) syscall.Errno { return syscall.EPERM }

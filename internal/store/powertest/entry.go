package powertest

// deed is what was done to the disk.
type deed uint8

const (
	created   deed = iota + 1 // a file, File, with Name
	madeDir                   // Name
	wrote                     // Data at Offset of File
	resized                   // File, to Offset
	synced                    // File
	syncedDir                 // Name
	renamed                   // Name to To
	removed                   // Name
	marked                    // Data was promised to the program
)

// entry is one line of the log. Names are relative to the root of the disk, which is ".".
type entry struct {
	Deed     deed
	File     int
	Name, To string
	Offset   int64
	Data     []byte
}

// One writer of the multiprocess suite: a stand-in for dfwriter where its module cannot be had. It does what dfwriter does
// for each line of up to 4096 bytes (collect it byte by byte until its end, fstat, shared lock, a copy of the line, write,
// unlock) and rotates as it does (exclusive lock, copy to a backup, sync, truncate).
//
//	lockperline <path> <first id> <lines> <bytes per line> <limit in bytes>
package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"logboom.bench/internal/measure"
)

type sharedFile struct {
	file     *os.File
	fd       int
	maxBytes int64
	line     bytes.Buffer
}

func main() {
	first, lines, lineBytes, maxBytes := measure.Number(2), measure.Number(3), measure.Number(4), measure.Number(5)
	file, err := os.OpenFile(os.Args[1], os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o640)
	measure.Check(err)
	shared := sharedFile{file: file, fd: int(file.Fd()), maxBytes: int64(maxBytes)}
	batch := measure.Lines(first, lines, lineBytes)
	measure.AwaitGo()
	clock := measure.Start()
	for _, line := range batch {
		shared.write(line)
	}
	measure.Check(file.Close())
	clock.Stop(lines, lines*lineBytes, 0)
}

func (s *sharedFile) write(data []byte) {
	for _, char := range data {
		measure.Check(s.line.WriteByte(char))
		if char == '\n' {
			s.append(s.line.Bytes())
			s.line.Reset()
		}
	}
}

func (s *sharedFile) append(line []byte) {
	kind := syscall.LOCK_SH
	if s.full(line) {
		kind = syscall.LOCK_EX
	}
	measure.Check(syscall.Flock(s.fd, kind))
	// Another writer may have rotated while this one waited for the exclusive lock.
	rotated := kind == syscall.LOCK_EX && s.full(line)
	if rotated {
		s.rotate()
	}
	_, err := s.file.Write(append([]byte(nil), line...))
	measure.Check(err)
	if rotated {
		measure.Check(s.file.Sync())
	}
	measure.Check(syscall.Flock(s.fd, syscall.LOCK_UN))
}

func (s *sharedFile) full(line []byte) bool {
	info, err := s.file.Stat()
	measure.Check(err)
	return info.Size()+int64(len(line)) >= s.maxBytes
}

func (s *sharedFile) rotate() {
	backup := createBackup(s.file.Name() + "." + time.Now().Format("20060102-150405"))
	_, err := io.Copy(backup, io.NewSectionReader(s.file, 0, 1<<62))
	measure.Check(err)
	measure.Check(s.file.Sync())
	measure.Check(s.file.Truncate(0))
	measure.Check(backup.Close())
}

func createBackup(stem string) *os.File {
	for number := 0; ; number++ {
		file, err := os.OpenFile(fmt.Sprintf("%s.%d", stem, number), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o640)
		if !os.IsExist(err) {
			measure.Check(err)
			return file
		}
	}
}

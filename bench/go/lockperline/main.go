// One writer of the multiprocess suite: a stand-in for dfwriter where its module cannot be had. It makes the system
// calls that dfwriter makes for each line of up to 4096 bytes (fstat, shared lock, write, unlock) and rotates as it does
// (exclusive lock, copy to a backup, sync, truncate), with none of its buffering, so it is not slower than it.
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

type sharedFile struct {
	file     *os.File
	fd       int
	maxBytes int64
}

// lockperline <path> <first id> <lines> <bytes per line> <limit in bytes>
func main() {
	path := os.Args[1]
	first, lines, lineBytes, maxBytes := number(2), number(3), number(4), number(5)
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o640)
	check(err)
	shared := sharedFile{file: file, fd: int(file.Fd()), maxBytes: int64(maxBytes)}
	batch := make([][]byte, lines)
	for i := range batch {
		line := fmt.Sprintf("id=%d a line of a Go writer ", first+i)
		batch[i] = []byte(line + strings.Repeat(".", lineBytes-1-len(line)) + "\n")
	}

	fmt.Println("ready")
	_, err = bufio.NewReader(os.Stdin).ReadString('\n')
	check(err)
	start, cpu := time.Now(), cpuSeconds()
	for _, line := range batch {
		shared.append(line)
	}
	check(file.Sync())
	check(file.Close())
	fmt.Printf("{\"records\":%d,\"bytes\":%d,\"seconds\":%f,\"cpuSeconds\":%f}\n",
		lines, lines*lineBytes, time.Since(start).Seconds(), cpuSeconds()-cpu)
}

func (s *sharedFile) append(line []byte) {
	kind := syscall.LOCK_SH
	if s.full(line) {
		kind = syscall.LOCK_EX
	}
	check(syscall.Flock(s.fd, kind))
	// Another writer may have rotated while this one waited for the exclusive lock.
	if kind == syscall.LOCK_EX && s.full(line) {
		s.rotate()
		defer func() { check(s.file.Sync()) }()
	}
	_, err := s.file.Write(line)
	check(err)
	check(syscall.Flock(s.fd, syscall.LOCK_UN))
}

func (s *sharedFile) full(line []byte) bool {
	info, err := s.file.Stat()
	check(err)
	return info.Size()+int64(len(line)) >= s.maxBytes
}

func (s *sharedFile) rotate() {
	backup, err := createBackup(s.file.Name() + "." + time.Now().Format("20060102-150405"))
	check(err)
	_, err = io.Copy(backup, io.NewSectionReader(s.file, 0, 1<<62))
	check(err)
	check(s.file.Sync())
	check(s.file.Truncate(0))
	check(backup.Close())
}

func createBackup(stem string) (*os.File, error) {
	for number := 0; ; number++ {
		file, err := os.OpenFile(fmt.Sprintf("%s.%d", stem, number), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o640)
		if !os.IsExist(err) {
			return file, err
		}
	}
}

func number(index int) int {
	value, err := strconv.Atoi(os.Args[index])
	check(err)
	return value
}

func cpuSeconds() float64 {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

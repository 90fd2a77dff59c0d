// One writer of the multiprocess suite: the Go original, dfwriter, with file locking.
package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/romosch/dfwriter"
)

// dfwriter <path> <first id> <lines> <bytes per line> <limit in bytes>
func main() {
	path := os.Args[1]
	first, lines, lineBytes, maxBytes := number(2), number(3), number(4), number(5)
	writer, err := dfwriter.New(path,
		dfwriter.WithMaxBytes(int64(maxBytes)),
		dfwriter.WithMaxBackups(1_000_000),
		dfwriter.WithFileLocking())
	check(err)
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
		_, err = writer.Write(line)
		check(err)
	}
	check(writer.Close())
	fmt.Printf("{\"records\":%d,\"bytes\":%d,\"seconds\":%f,\"cpuSeconds\":%f}\n",
		lines, lines*lineBytes, time.Since(start).Seconds(), cpuSeconds()-cpu)
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

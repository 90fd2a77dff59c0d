// Package measure is what the Go programs of the bench share: arguments, the clock and the one JSON line they print.
package measure

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Result is the line a program ends with.
type Result struct {
	Records    int     `json:"records"`
	Bytes      int     `json:"bytes"`
	Seconds    float64 `json:"seconds"`
	CPUSeconds float64 `json:"cpuSeconds"`
	PeakBytes  int64   `json:"peakBytes"`
	Dropped    int64   `json:"dropped"`
}

// Clock runs from Start to Stop.
type Clock struct {
	start      time.Time
	cpuSeconds float64
}

// Start starts the clock: wall time, and the CPU time of the whole process.
func Start() Clock {
	cpu, _ := usage()
	return Clock{start: time.Now(), cpuSeconds: cpu}
}

// Stop prints the result.
func (c Clock) Stop(records, bytes int, dropped int64) {
	seconds := time.Since(c.start).Seconds()
	cpu, peak := usage()
	line, err := json.Marshal(Result{records, bytes, seconds, cpu - c.cpuSeconds, peak, dropped})
	Check(err)
	fmt.Println(string(line))
}

// AwaitGo tells the bench that this writer is ready, and waits for the word to go.
func AwaitGo() {
	fmt.Println("ready")
	_, err := bufio.NewReader(os.Stdin).ReadString('\n')
	Check(err)
}

// Lines makes `count` lines of `size` bytes with the ids from `first`, so that making them is not measured.
func Lines(first, count, size int) [][]byte {
	lines := make([][]byte, count)
	for i := range lines {
		text := fmt.Sprintf("id=%d a line of a Go writer ", first+i)
		lines[i] = []byte(text + strings.Repeat(".", size-1-len(text)) + "\n")
	}
	return lines
}

// Number is the argument at index, counted from 1.
func Number(index int) int {
	if len(os.Args) <= index {
		Check(fmt.Errorf("argument %d is missing", index))
	}
	value, err := strconv.Atoi(os.Args[index])
	Check(err)
	return value
}

// Check ends the program with the error, if there is one.
func Check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func usage() (cpuSeconds float64, peakBytes int64) {
	var own syscall.Rusage
	Check(syscall.Getrusage(syscall.RUSAGE_SELF, &own))
	return time.Duration(own.Utime.Nano() + own.Stime.Nano()).Seconds(), own.Maxrss * 1024
}

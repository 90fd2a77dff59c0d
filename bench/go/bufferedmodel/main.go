// Stand-in for bufferedwriter where its module cannot be had: our own program of the same design. Four workers with a
// buffer of 64 KiB take records from a channel of 512; a full buffer is written to a temporary file, which gets mode
// 0400 and is renamed. A record that no worker takes within 100 ms is discarded. Unlike the original it can be closed.
//
//	bufferedmodel <folder> <records> <bytes per record>
package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"logboom.bench/internal/measure"
)

const (
	workers     = 4
	queue       = 512
	bufferBytes = 65536
	timeout     = 100 * time.Millisecond
)

func main() {
	folder, records, recordBytes := os.Args[1], measure.Number(2), measure.Number(3)
	batch := measure.Lines(1_000_000, records, recordBytes)
	clock := measure.Start()
	channel := make(chan io.ReadCloser, queue)
	var done sync.WaitGroup
	for id := range workers {
		done.Go(func() { work(id, folder, channel) })
	}
	dropped := int64(0)
	for _, record := range batch {
		if !write(channel, io.NopCloser(bytes.NewReader(record))) {
			dropped++
		}
	}
	close(channel)
	done.Wait()
	clock.Stop(records, (records-int(dropped))*recordBytes, dropped)
}

func write(channel chan<- io.ReadCloser, record io.ReadCloser) bool {
	select {
	case channel <- record:
		return true
	default:
	}
	select {
	case channel <- record:
		return true
	case <-time.After(timeout):
		return false
	}
}

func work(id int, folder string, channel <-chan io.ReadCloser) {
	buffer := bytes.NewBuffer(make([]byte, 0, 2*bufferBytes))
	for record := range channel {
		_, err := buffer.ReadFrom(record)
		measure.Check(err)
		measure.Check(record.Close())
		if buffer.Len() >= bufferBytes {
			publish(id, folder, buffer)
		}
	}
	if buffer.Len() > 0 {
		publish(id, folder, buffer)
	}
}

func publish(id int, folder string, buffer *bytes.Buffer) {
	file, err := os.CreateTemp(folder, ".temp")
	measure.Check(err)
	_, err = file.Write(buffer.Bytes())
	measure.Check(err)
	measure.Check(file.Chmod(0o400))
	measure.Check(file.Close())
	name := fmt.Sprintf("%d_%d.log", id, time.Now().UnixNano())
	measure.Check(os.Rename(file.Name(), filepath.Join(folder, name)))
	buffer.Reset()
}

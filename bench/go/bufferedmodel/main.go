// Stand-in for bufferedwriter where its module cannot be had: our own program that does what the original does for each
// record and each file. Four workers with a buffer of 64 KiB take records from a channel of 512; a timer runs for every
// record that is offered, and one that no worker takes within 100 ms is discarded. A full buffer is appended to the
// worker's temporary file; when the record that overflowed it has been appended, too, the file is renamed and gets mode
// 0400. Unlike the original it can be closed.
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
		done.Go(func() { newWorker(id, folder).run(channel) })
	}
	dropped := int64(0)
	for _, record := range batch {
		if !offer(channel, io.NopCloser(bytes.NewReader(record))) {
			dropped++
		}
	}
	close(channel)
	done.Wait()
	clock.Stop(records, (records-int(dropped))*recordBytes, dropped)
}

func offer(channel chan<- io.ReadCloser, record io.ReadCloser) bool {
	select {
	case channel <- record:
		return true
	case <-time.After(timeout):
		measure.Check(record.Close())
		return false
	}
}

type worker struct {
	id     int
	folder string
	temp   string
	buffer []byte
	fill   int
}

func newWorker(id int, folder string) *worker {
	temp := filepath.Join(folder, fmt.Sprintf(".%d.tmp", id))
	return &worker{id: id, folder: folder, temp: temp, buffer: make([]byte, bufferBytes)}
}

func (w *worker) run(channel <-chan io.ReadCloser) {
	for record := range channel {
		w.take(record)
	}
	if w.fill > 0 {
		w.spill()
	}
	w.publish()
}

func (w *worker) take(record io.ReadCloser) {
	defer record.Close()
	isLarge := false
	for {
		count, err := record.Read(w.buffer[w.fill:])
		w.fill += count
		if err == io.EOF {
			break
		}
		measure.Check(err)
		if w.fill == bufferBytes {
			w.spill()
			isLarge = true
		}
	}
	if isLarge {
		w.spill()
		w.publish()
	}
}

func (w *worker) spill() {
	file, err := os.OpenFile(w.temp, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	measure.Check(err)
	_, err = file.Write(w.buffer[:w.fill])
	measure.Check(err)
	_, err = file.Stat()
	measure.Check(err)
	measure.Check(file.Close())
	w.fill = 0
}

func (w *worker) publish() {
	target := filepath.Join(w.folder, fmt.Sprintf("%d_%d.log", w.id, time.Now().UnixNano()))
	err := os.Rename(w.temp, target)
	if os.IsNotExist(err) {
		return // nothing has come since the last file
	}
	measure.Check(err)
	measure.Check(os.Chmod(target, 0o400))
}

// Peer of the wal suite: the Go original, go-binlogger, every Log on disk before it returns.
//
//	gobinlogger <folder> <records> <bytes per record> <records per Log> <callers>
package main

import (
	"context"
	"os"
	"path/filepath"
	"sync"

	gobinlogger "github.com/harikube/go-binlogger/pkg/binlogger"
	"logboom.bench/internal/measure"
)

func main() {
	records, recordBytes, batchRecords, callers := measure.Number(2), measure.Number(3), measure.Number(4), measure.Number(5)
	snapDir := filepath.Join(os.Args[1], "snap")
	measure.Check(os.MkdirAll(snapDir, 0o750))
	logger := gobinlogger.NewBinLogger(filepath.Join(os.Args[1], "wal"), snapDir, 0)
	measure.Check(logger.Start(context.Background()))
	batch := measure.Lines(1_000_000, batchRecords, recordBytes)
	clock := measure.Start()
	var group sync.WaitGroup
	for range callers {
		group.Add(1)
		go func() {
			defer group.Done()
			for range records / batchRecords / callers {
				measure.Check(logger.Log(batch))
			}
		}()
	}
	group.Wait()
	measure.Check(logger.Close())
	clock.Stop(records, records*recordBytes, 0)
}

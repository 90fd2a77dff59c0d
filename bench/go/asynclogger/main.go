// Peer of the direct suite: the Go original, asynclogger, in its default configuration. Drops are counted by itself.
//
//	asynclogger <folder> <records> <bytes per record> <writers>
package main

import (
	"os"
	"path/filepath"
	"sync"

	"github.com/Meesho/BharatMLStack/asynclogger"
	"logboom.bench/internal/measure"
)

func main() {
	records, recordBytes, writers := measure.Number(2), measure.Number(3), measure.Number(4)
	logger, err := asynclogger.New(asynclogger.DefaultConfig(filepath.Join(os.Args[1], "direct.log")))
	measure.Check(err)
	batch := measure.Lines(1_000_000, 1_000, recordBytes)
	clock := measure.Start()
	var group sync.WaitGroup
	for range writers {
		group.Add(1)
		go func() {
			defer group.Done()
			for i := range records / writers {
				logger.LogBytes(batch[i%len(batch)])
			}
		}()
	}
	group.Wait()
	measure.Check(logger.Close())
	_, dropped, _, _, _, _ := logger.GetStatsSnapshot()
	clock.Stop(records, (records-int(dropped))*recordBytes, dropped)
}

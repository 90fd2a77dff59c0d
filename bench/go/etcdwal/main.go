// Peer of the wal suite: etcd's own write-ahead log, driven by several callers behind one lock. Save makes one fdatasync
// per batch. With "twice" a second one follows, which makes it a stand-in for go-binlogger where its module cannot be had:
// that does the same for each batch.
//
//	etcdwal <folder> <records> <bytes per record> <records per batch> <callers> [twice]
package main

import (
	"os"
	"path/filepath"
	"sync"

	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
	"logboom.bench/internal/measure"
)

type logger struct {
	lock  sync.Mutex
	log   *wal.WAL
	index uint64
	twice bool
}

func main() {
	records, recordBytes, batchRecords, callers := measure.Number(2), measure.Number(3), measure.Number(4), measure.Number(5)
	log, err := wal.Create(zap.NewNop(), filepath.Join(os.Args[1], "wal"), nil)
	measure.Check(err)
	shared := logger{log: log, twice: len(os.Args) > 6 && os.Args[6] == "twice"}
	batch := measure.Lines(1_000_000, batchRecords, recordBytes)
	clock := measure.Start()
	var group sync.WaitGroup
	for range callers {
		group.Add(1)
		go func() {
			defer group.Done()
			for range records / batchRecords / callers {
				shared.append(batch)
			}
		}()
	}
	group.Wait()
	measure.Check(log.Close())
	clock.Stop(records, records*recordBytes, 0)
}

func (l *logger) append(batch [][]byte) {
	l.lock.Lock()
	defer l.lock.Unlock()
	entries := make([]raftpb.Entry, len(batch))
	for i := range batch {
		l.index++
		entries[i] = raftpb.Entry{Index: l.index, Data: batch[i]}
	}
	measure.Check(l.log.Save(raftpb.HardState{}, entries))
	if l.twice {
		measure.Check(l.log.Sync())
	}
}

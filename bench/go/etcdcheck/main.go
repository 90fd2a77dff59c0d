// Reads a write-ahead log with etcd's own package as a server that starts would (write mode: everything must be
// sound), prints what it found, and appends entries with their commit mark. Used by test/wal/interop.test.ts.
//
//	etcdcheck <wal folder> <entries to append>
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
	"logboom.bench/internal/measure"
)

type report struct {
	Metadata string
	Commit   uint64
	Snapshot uint64
	Entries  []string
}

func main() {
	logger := zap.NewNop()
	known, err := wal.ValidSnapshotEntries(logger, os.Args[1])
	measure.Check(err)
	start := known[len(known)-1]
	log, err := wal.Open(logger, os.Args[1], start)
	measure.Check(err)
	metadata, state, entries, err := log.ReadAll()
	measure.Check(err)
	found := report{Metadata: string(metadata), Commit: state.Commit, Snapshot: start.Index, Entries: []string{}}
	last := start.Index
	for _, entry := range entries {
		found.Entries = append(found.Entries, fmt.Sprintf("%d %s", entry.Index, entry.Data))
		last = entry.Index
	}
	for range measure.Number(2) {
		last++
		entry := raftpb.Entry{Term: 1, Index: last, Data: []byte(fmt.Sprintf("from etcd %d", last))}
		measure.Check(log.Save(raftpb.HardState{Term: 1, Vote: 1, Commit: last}, []raftpb.Entry{entry}))
	}
	measure.Check(log.Close())
	measure.Check(json.NewEncoder(os.Stdout).Encode(found))
}

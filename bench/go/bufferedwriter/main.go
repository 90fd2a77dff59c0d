// Peer of the spool suite: the Go original, bufferedwriter, in its default configuration. It has no close: what its
// workers still hold below one buffer is left in memory, so the clock stops when every record has been taken.
//
//	bufferedwriter <folder> <records> <bytes per record>
package main

import (
	"bytes"
	"io"
	"os"

	"github.com/viki-org/bufferedwriter"
	"logboom.bench/internal/measure"
)

func main() {
	records, recordBytes := measure.Number(2), measure.Number(3)
	buffer := bufferedwriter.New(bufferedwriter.Configure().Path(os.Args[1]).Temp(os.Args[1]))
	batch := measure.Lines(1_000_000, records, recordBytes)
	clock := measure.Start()
	dropped := int64(0)
	for i := range records {
		if !buffer.Write(io.NopCloser(bytes.NewReader(batch[i]))) {
			dropped++
		}
	}
	clock.Stop(records, (records-int(dropped))*recordBytes, dropped)
}

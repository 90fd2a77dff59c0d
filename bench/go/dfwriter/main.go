// One writer of the multiprocess suite: the Go original, dfwriter, with file locking.
//
//	dfwriter <path> <first id> <lines> <bytes per line> <limit in bytes>
package main

import (
	"os"

	"github.com/romosch/dfwriter"
	"logboom.bench/internal/measure"
)

func main() {
	first, lines, lineBytes, maxBytes := measure.Number(2), measure.Number(3), measure.Number(4), measure.Number(5)
	writer, err := dfwriter.New(os.Args[1],
		dfwriter.WithMaxBytes(int64(maxBytes)),
		dfwriter.WithMaxBackups(1_000_000),
		dfwriter.WithFileLocking())
	measure.Check(err)
	batch := measure.Lines(first, lines, lineBytes)
	measure.AwaitGo()
	clock := measure.Start()
	for _, line := range batch {
		_, err = writer.Write(line)
		measure.Check(err)
	}
	measure.Check(writer.Close())
	clock.Stop(lines, lines*lineBytes, 0)
}

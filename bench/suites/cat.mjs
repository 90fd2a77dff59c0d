// `logboom cat` of logs of every format to /dev/null, from the loading of the command to its exit, against a plain loop of
// reads of the same cached file.
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { startClock } from '../lib/clock.mjs'
import { madeLog } from '../lib/made-logs.mjs'
import { readThrough } from '../lib/read-through.mjs'

const formats = ['rotating-file', 'binary-file', 'direct-file', 'spool', 'wal']
const program = join(import.meta.dirname, '../lib/cli-run.mjs')
/** Beyond what a process takes that has only read a file. */
const growthBytes = 64 << 20

export const suite = {
  name: 'cat',
  title: 'Printing logs of 1 GB, records of 256 bytes',
  unit: 'MB',
  records: 1_000,
  references: ['plain reads'],
  contenders: {
    'plain reads': {
      note: 'a loop of reads of 1 MiB, and nothing else',
      files: false,
      run: (context) => readAll(context)
    },
    ...Object.fromEntries(formats.map((format) => [`cat ${format}`, cat(format)])),
    'gunzip alone': {
      note: "the file through Node's decompressor, and nothing else; in MB of what comes out",
      files: false,
      run: (context) => unzip(context)
    },
    'cat rotating-file.gz': cat('rotating-file.gz')
  },
  goals: [
    ...formats.flatMap((format) => [
      { contender: `cat ${format}`, metric: 'rate', atLeast: 0.3, of: ['plain reads'] },
      { contender: `cat ${format}`, metric: 'growthBytes', atMost: growthBytes }
    ]),
    { contender: 'cat rotating-file.gz', metric: 'rate', atLeast: 0.9, of: ['gunzip alone'] },
    { contender: 'cat rotating-file.gz', metric: 'growthBytes', atMost: growthBytes }
  ]
}

function cat(format) {
  return {
    note: `logboom cat of a log of the format ${format}`,
    own: true,
    files: false,
    prepare: () => {
      madeLog(format, suite.records)
    },
    command: ({ records }) => {
      const { path, files } = madeLog(format, records)
      const args = [program, String(records), JSON.stringify(files), 'cat', path]
      return ['sh', '-c', 'exec 3>&1 >/dev/null; exec "$@"', 'sh', process.execPath, ...args]
    }
  }
}

function readAll({ records }) {
  const { files } = madeLog('rotating-file', records)
  for (const file of files) readThrough(file)
  const stop = startClock()
  for (const file of files) readThrough(file)
  return { records, ...stop() }
}

async function unzip({ records }) {
  const { path } = madeLog('rotating-file.gz', records)
  readThrough(path)
  const stop = startClock()
  await pipeline(createReadStream(path), createGunzip(), async (chunks) => {
    for await (const chunk of chunks) if (chunk.length === 0) throw new Error('an empty piece')
  })
  return { records, ...stop() }
}

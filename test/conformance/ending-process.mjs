// A process that makes one sink, logs the lines of a file to it and ends in the way it was told. Started by
// process-ends.test.ts with JSON: { kind, options, linesPath, end }.
import { readFileSync, writeSync } from 'node:fs'
import { sinks } from '../../dist/core/registry.js'
import { withInternals } from '../../dist/core/sink/internals.js'
import { realDisk } from '../../dist/io/disk.js'
import { createDisk, createState, setRule } from '../helpers/shared-faulty-disk.mjs'

const { kind, options, linesPath, end } = JSON.parse(process.argv[2])
const state = createState()
const url = new URL('../helpers/shared-faulty-disk.mjs', import.meta.url).href
const sink = withInternals(
  { disk: createDisk(realDisk, { state }), threadDisk: { url, data: { state } } },
  () => sinks[kind].create(options)
)
if (end === 'exit on a full disk') {
  for (const operation of [
    'write',
    'writeSynced',
    'writev',
    'writevHashed',
    'writeAsync',
    'fallocate',
    'publishFile'
  ]) {
    setRule(state, operation, 'ENOSPC', 1, 2 ** 31 - 1)
  }
}
const lines = readFileSync(linesPath, 'utf8').split('\n').slice(0, -1)
const early = end === 'a handler of exit' ? lines.slice(0, lines.length / 2) : lines
for (const line of early) sink.write(`${line}\n`)
// Behind the handler that the sink has registered.
process.on('exit', () => {
  for (const line of lines.slice(early.length)) sink.write(`${line}\n`)
})

if (end === 'a handler of exit') setTimeout(() => process.exit(), 200)
if (end === 'process.exit' || end === 'exit on a full disk') process.exit()
if (end === 'an uncaught exception') {
  setImmediate(() => {
    throw new Error('meant')
  })
}
if (end === 'close') {
  const closed = sink.close()
  writeSync(1, 'closing\n')
  await closed
  process.exit(7)
}

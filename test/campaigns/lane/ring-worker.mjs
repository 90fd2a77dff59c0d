// A thread that takes records from a ring which another thread fills, until it is ended in the middle of that.
import { parentPort, workerData } from 'node:worker_threads'
import { SharedRing } from '../../../dist/core/lane/internals.js'
import { withInternals } from '../../../dist/core/sink/internals.js'
import { BinaryFile, RotatingFile } from '../../../dist/index.js'

const { buffer, id, kind, options, isLast } = workerData
const lane = { ring: new SharedRing(buffer), id, survives: false }
const sink = withInternals({ lane }, () => {
  return kind === 'rotating-file'
    ? new RotatingFile(options)
    : withInternals({ source: 'lines' }, () => new BinaryFile(options))
})

function pull() {
  sink.pull()
  if (!isLast) setImmediate(pull)
}

parentPort.postMessage('ready')
pull()
if (isLast) {
  await sink.flush()
  await sink.close()
  parentPort.postMessage('done')
}

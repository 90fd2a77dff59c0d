// A stage of a pino pipeline that passes everything on, in pieces of awkward sizes.
import { Transform } from 'node:stream'

export default function createPassTransform() {
  return new Transform({
    transform(chunk, _encoding, callback) {
      for (let at = 0, length = 1; at < chunk.length; at += length, length = (length * 5) % 1_009) {
        this.push(chunk.subarray(at, at + length))
      }
      callback()
    }
  })
}

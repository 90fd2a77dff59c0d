// Event data as binary records: three processes append packed measurements to one file, which is rolled over to
// numbered backups; then everything is read back in order. Writes events*.bin into the current folder.
// Prints: 3000 measurements of 3 sensors, every one once
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { BinaryFile } from 'logboom'

const options = { path: 'events.bin', maxBytes: '16k' }

/** 14 bytes: u16 sensor, u32 number, f64 value. */
function pack(sensor, number, value) {
  const bytes = Buffer.alloc(14)
  bytes.writeUInt16BE(sensor, 0)
  bytes.writeUInt32BE(number, 2)
  bytes.writeDoubleBE(value, 6)
  return bytes
}

if (process.argv[2] !== undefined) {
  const file = new BinaryFile(options)
  const sensor = Number(process.argv[2])
  for (let number = 0; number < 1000; number++) file.write(pack(sensor, number, Math.sin(number)))
  await file.close()
} else {
  const writers = [1, 2, 3].map((sensor) => fork(import.meta.filename, [String(sensor)]))
  await Promise.all(writers.map((writer) => once(writer, 'exit')))

  const file = new BinaryFile(options)
  const seen = new Set()
  let records = 0
  for (const bytes of file.readBytes()) {
    seen.add(`${bytes.readUInt16BE(0)}:${bytes.readUInt32BE(2)}`)
    records++
  }
  await file.close()
  console.log(
    `${records} measurements of 3 sensors, ${seen.size === records ? 'every one once' : 'some of them twice'}`
  )
}

// A pino target that writes nowhere: what thread-stream alone costs, the floor of every target.
import { EventEmitter } from 'node:events'

export default function open() {
  const stream = new EventEmitter()
  stream.write = () => true
  stream.end = () => stream.emit('close')
  return stream
}

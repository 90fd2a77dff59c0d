// The worker thread of the winston transports.
import { type Kind, sinks } from '../core/registry.ts'
import { SinkStream } from './sink-stream.ts'

interface WorkerOptions {
  kind: Kind
  options: object
}

export default function open({ kind, options }: WorkerOptions): SinkStream {
  return new SinkStream(sinks[kind].create(options as never), true)
}

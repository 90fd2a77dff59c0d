// Makes a sink of the built package through the registry, on a disk that can fail. The built package, because its
// worker threads need it, and withInternals must replace what its constructors see.
import { sinks } from '../../dist/core/registry.js'
import { withInternals } from '../../dist/core/sink/internals.js'
import { realDisk } from '../../dist/io/disk.js'
import type { Kind } from '../../src/core/registry.ts'
import { STALL_TIMEOUT_MS } from '../../src/core/sink/progress.ts'
import type { InternalSink } from '../../src/core/sink/pumped-sink.ts'
import { createDisk } from '../helpers/shared-faulty-disk.mjs'

const url = new URL('../helpers/shared-faulty-disk.mjs', import.meta.url).href

export function createSink(
  kind: Kind,
  options: Record<string, unknown>,
  state: SharedArrayBuffer,
  stallMs = STALL_TIMEOUT_MS
): InternalSink {
  const disk = createDisk(realDisk, { state })
  const create = sinks[kind].create as (options: unknown) => unknown
  const replaced = { disk: disk as never, threadDisk: { url, data: { state } }, stallMs }
  return withInternals(replaced, () => create(options)) as InternalSink
}

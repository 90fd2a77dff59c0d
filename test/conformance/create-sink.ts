// Makes a sink of the built package through the registry, on a disk that can fail. The built package, because its
// worker threads need it, and withInternals must replace what its constructors see.

import { sinks } from '../../dist/core/registry.js'
import { withInternals } from '../../dist/core/sink/internals.js'
import { SpoolLines } from '../../dist/core/spool/spool-lines.js'
import { WriteAheadLog } from '../../dist/index.js'
import type { Kind } from '../../src/core/registry.ts'
import type { InternalSink } from '../../src/core/sink/pumped-sink.ts'
import { createDisk } from '../helpers/shared-faulty-disk.mjs'

// Kinds that do not look at `internals()` yet take the disk as a second parameter.
// biome-ignore lint/suspicious/noExplicitAny: goes away with the parameter
const legacy: Partial<Record<Kind, (options: any, disk: any) => any>> = {
  spool: (options, disk) => Reflect.construct(SpoolLines, [options, disk]),
  wal: (options, disk) => Reflect.apply(WriteAheadLog.openSync, WriteAheadLog, [options, { disk }])
}

export function createSink(
  kind: Kind,
  options: Record<string, unknown>,
  state: SharedArrayBuffer
): InternalSink {
  const disk = createDisk({ state })
  const create = legacy[kind] ?? (sinks[kind].create as (options: unknown) => unknown)
  return withInternals({ disk: disk as never }, () => create(options, disk)) as InternalSink
}

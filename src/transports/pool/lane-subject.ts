// What the ring of an output says of the log it is for, so that whoever finds it can open that log, from whatever folder: the
// same as the sinks say of rings that they make themselves.
import { resolve } from 'node:path'
import { cloneableOptions } from '../../base/options.ts'
import { type Kind, sinks } from '../../core/registry.ts'

export interface LogSubject {
  readonly kind: Kind
  /** What the sink calls its path. */
  readonly path: string
  readonly options: Record<string, unknown>
}

/** `input`: the options of the sink, already checked. */
export function logSubject(kind: Kind, input: object): LogSubject {
  const options: Record<string, unknown> = cloneableOptions({ ...input })
  if (kind === 'event-files') {
    const { folder, output } = sinks[kind].check(input)
    return { kind, path: folder, options: { ...options, path: undefined, dir: folder, output } }
  }
  if (kind === 'spool') {
    const { path, temp } = sinks[kind].check(input)
    return { kind, path, options: { ...options, dir: undefined, path, temp } }
  }
  if (kind === 'wal') {
    const { walDir } = sinks[kind].check(input)
    const place = { walDir: undefined, path: undefined, dir: walDir, instance: 'exclusive' }
    return { kind, path: walDir, options: { ...options, ...place } }
  }
  if (kind === 'direct-file') {
    const { path } = sinks[kind].check(input)
    return { kind, path, options: { ...options, path, instance: 'exclusive' } }
  }
  const { path } = sinks[kind].check(input)
  return { kind, path: resolve(path), options: { ...options, path: resolve(path) } }
}

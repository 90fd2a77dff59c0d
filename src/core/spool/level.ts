// The guard of flush levels.
import { argumentError } from '../../base/bytes.ts'
import type { Durability } from '../sink/contract.ts'

/** Throws `ERR_ARGUMENT` unless `to` is a level that can be flushed to. */
export function requireLevel(to: unknown): asserts to is Durability {
  if (to === 'none' || to === 'os' || to === 'disk') return
  throw argumentError('flush', "'none', 'os' or 'disk'", to)
}

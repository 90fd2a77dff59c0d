// What a ring says of how its records become the bytes of a file, for whoever takes it over.
import { LogboomError } from '../../base/errors.ts'
import type { LaneFormat, LaneUnit } from './lane-codec.ts'
import type { RingDescription } from './lane-folder.ts'
import type { MappedRing } from './mapped-ring.ts'

const units: readonly string[] = ['text', 'line', 'record', 'payload'] satisfies LaneUnit[]

/** Options that can be written as JSON: bytes as an object with their base64. */
export function plainOptions(options: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const plain: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(options)) {
    plain[name] = value instanceof Uint8Array ? { base64: Buffer.from(value).toString('base64') } : value
  }
  return plain
}

/** The options as they were given. */
export function givenOptions({ options }: Pick<RingDescription, 'options'>): Record<string, unknown> {
  const given: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(options)) {
    const base64 = (value as { base64?: unknown } | null | undefined)?.base64
    given[name] = typeof base64 === 'string' ? Buffer.from(base64, 'base64') : value
  }
  return given
}

/**
 * What becomes of a record of that ring in a sink whose own records are `unit`s. Throws `ERR_CORRUPT` for a unit that is
 * not known.
 */
export function formatOf(description: RingDescription, own: LaneUnit): LaneFormat {
  const unit = own === 'text' ? 'text' : (description.unit ?? own)
  const { prefix } = givenOptions(description)
  if (!units.includes(unit)) {
    throw new LogboomError('ERR_CORRUPT', `the lane of ${description.path} holds records of an unknown unit`)
  }
  if (typeof prefix === 'string') return { unit: unit as LaneUnit, prefix: Buffer.from(prefix) }
  return { unit: unit as LaneUnit, prefix: prefix instanceof Uint8Array ? prefix : undefined }
}

/** What a ring says of itself. Throws `ERR_CORRUPT`. */
export function describe(ring: MappedRing): RingDescription {
  try {
    const description = JSON.parse(ring.header.description)
    const { path, kind, options } = description
    if (
      typeof path === 'string' &&
      typeof kind === 'string' &&
      typeof options === 'object' &&
      options !== null
    )
      return description
  } catch {
    // What is no JSON is no description either.
  }
  throw new LogboomError('ERR_CORRUPT', `${ring.path} does not say whose it is`, { path: ring.path })
}

// Option specs: one per sink, from which types, defaults, validation and the tables in docs/ all come.
import parseBytes from 'bytes'
import parseDuration from 'ms'
import * as v from 'valibot'
import { LogboomError } from './errors.ts'

/** One option: how it is checked and converted, and what its row in the docs says. */
export interface OptionSpec<S extends v.GenericSchema = v.GenericSchema> {
  readonly schema: S
  readonly type: string
  readonly default: string
  readonly description: string
}

export type OptionSpecs = Readonly<Record<string, OptionSpec>>

type Entries<S extends OptionSpecs> = { [K in keyof S]: S[K]['schema'] }
type SchemaOf<S extends OptionSpecs> = v.StrictObjectSchema<Entries<S>, undefined>

/** What a user may pass for a set of specs. */
export type OptionsInput<S extends OptionSpecs> = v.InferInput<SchemaOf<S>>
/** The same after defaults and unit conversion: sizes in bytes, durations in milliseconds. */
export type OptionsOutput<S extends OptionSpecs> = v.InferOutput<SchemaOf<S>>

type Default = string | number | boolean | null

/** An option with a default. `fallback` is in the user's notation, for example '10m'. */
export function option<const S extends v.GenericSchema, const D extends v.InferInput<S> & Default>(
  type: string,
  schema: S,
  fallback: D,
  description: string
): OptionSpec<v.OptionalSchema<S, D>> {
  return {
    schema: v.optional(schema, fallback as never) as never,
    type,
    default: `\`${typeof fallback === 'string' ? `'${fallback}'` : String(fallback)}\``,
    description
  }
}

export function requiredOption<const S extends v.GenericSchema>(
  type: string,
  schema: S,
  description: string
): OptionSpec<S> {
  return { schema, type, default: '(required)', description }
}

/** An option that is undefined unless given. */
export function optionalOption<const S extends v.GenericSchema>(
  type: string,
  schema: S,
  description: string
): OptionSpec<v.OptionalSchema<S, undefined>> {
  return { schema: v.optional(schema), type, default: '', description }
}

const SIZE = /^(\d+(?:\.\d+)?) ?(b|kb?|mb?|gb?)?$/i
const DURATION = /^\d+(?:\.\d+)? ?(?:ms|s|m|h|d|w)$/i

function sizeFromText(text: string): number {
  const match = SIZE.exec(text)
  if (match === null) return Number.NaN
  const unit = (match[2] ?? 'b').toLowerCase()
  return parseBytes(`${match[1]}${unit.length === 1 && unit !== 'b' ? `${unit}b` : unit}`) ?? Number.NaN
}

/** A size in bytes: an integer ≥ 0 or text such as '64k', '10m', '1g' (powers of 1024). */
export const size = v.pipe(
  v.union([v.number(), v.string()], "must be a number of bytes or a text such as '64k', '10m', '1g'"),
  v.transform((value) => (typeof value === 'string' ? sizeFromText(value) : value)),
  v.check(
    (value) => Number.isSafeInteger(value) && value >= 0,
    "must be a whole number of bytes ≥ 0 or a text such as '64k', '10m', '1g'"
  )
)

/** A duration in ms: a number ≥ 0 or text such as '100ms', '10s', '5m', '1h', '7d'. */
export const duration = v.pipe(
  v.union(
    [v.number(), v.string()],
    "must be a number of milliseconds or a text such as '100ms', '10s', '5m', '1h', '7d'"
  ),
  v.transform((value) => {
    if (typeof value === 'number') return value
    return DURATION.test(value) ? parseDuration(value as parseDuration.StringValue) : Number.NaN
  }),
  v.check(
    (value) => Number.isFinite(value) && value >= 0,
    "must be milliseconds ≥ 0 or a text such as '100ms', '10s', '5m', '1h', '7d'"
  )
)

/** A count: an integer ≥ 0. */
export const count = v.pipe(
  v.number('must be a whole number ≥ 0'),
  v.check((value) => Number.isSafeInteger(value) && value >= 0, 'must be a whole number ≥ 0')
)

export const flag = v.boolean('must be true or false')

/** A path of a file or folder: non-empty text without NUL. */
export const path = v.pipe(
  v.string('must be a path'),
  v.check((value) => value.length > 0 && !value.includes('\0'), 'must be a non-empty path without NUL')
)

export function oneOf<const T extends readonly (string | false)[]>(values: T) {
  const list = values.map((value) => (value === false ? 'false' : `'${value}'`)).join(', ')
  return v.picklist(values as unknown as string[], `must be one of ${list}`) as unknown as v.GenericSchema<
    T[number]
  >
}

const MODE_RULE = "must be permission bits given in octal, as a number (0o640) or a text ('0640')"

// 400, 440, 444 and 500 are the decimals below 0o777 whose digits spell a common mode.
const DECIMAL_MISTAKES = new Set([400, 440, 444, 500])

/** Permission bits. A decimal such as 640 is refused: as bits it is 0o1200, never what was meant. */
export const permissions = v.pipe(
  v.union([v.number(), v.string()], MODE_RULE),
  v.check((value) => typeof value === 'number' || /^(0o?)?[0-7]{3}$/.test(value), MODE_RULE),
  v.transform((value) => (typeof value === 'number' ? value : Number.parseInt(value.replace(/^0o/, ''), 8))),
  v.check(
    (value) => Number.isInteger(value) && value >= 0 && value <= 0o777 && !DECIMAL_MISTAKES.has(value),
    `${MODE_RULE}; a decimal such as 640 is a mistake`
  )
)

export const durability = oneOf(['none', 'os', 'disk'])

/** Marks options that were checked before. */
const CHECKED = Symbol('checked options')

/**
 * Checked options for another place. `parseOptions` takes them as they are: thousands of files have the same. They are
 * inherited, because a copy of thirty for each file is much of what it takes; who spreads them needs `flattened`.
 */
export function checkedFor<T extends object, P extends object>(checked: T, place: P): T & P {
  return Object.assign(Object.create(checked), place, { [CHECKED]: true })
}

/** A copy of options that has inherited ones as its own. */
export function flattened<T extends object>(options: T): T {
  const copy: Partial<T> = {}
  for (const name in options) copy[name] = options[name]
  return copy as T
}

/** Checks `input` against `specs`. Throws `ERR_OPTION` naming the option, the rule and the value. */
export function parseOptions<const S extends OptionSpecs>(
  kind: string,
  specs: S,
  input: unknown
): OptionsOutput<S> {
  if (input === null || typeof input !== 'object' || Array.isArray(input)) {
    throw new LogboomError('ERR_OPTION', `${kind}: options must be an object, got ${show(input)}`)
  }
  if (CHECKED in input) return input as OptionsOutput<S>
  const result = v.safeParse(schemaOf(specs), input, { abortEarly: true })
  if (result.success) return result.output
  const issue = result.issues[0]
  const name = String(issue.path?.[0]?.key ?? '')
  if (!Object.hasOwn(specs, name)) {
    const known = Object.keys(specs).join(', ')
    throw new LogboomError('ERR_OPTION', `${kind}: unknown option ${show(name)}; known options: ${known}`)
  }
  const value = (input as Record<string, unknown>)[name]
  if (value === undefined) throw new LogboomError('ERR_OPTION', `${kind}: option '${name}' is required`)
  throw new LogboomError('ERR_OPTION', `${kind}: option '${name}' ${issue.message}, got ${show(value)}`)
}

/** An `ERR_OPTION` for a rule that a single option's schema cannot express. */
export function optionError(kind: string, name: string, rule: string, value: unknown): LogboomError {
  return new LogboomError('ERR_OPTION', `${kind}: option '${name}' ${rule}, got ${show(value)}`)
}

const schemas = new WeakMap<OptionSpecs, v.GenericSchema>()

function schemaOf<S extends OptionSpecs>(specs: S): SchemaOf<S> {
  let schema = schemas.get(specs)
  if (schema === undefined) {
    schema = v.strictObject(
      Object.fromEntries(Object.entries(specs).map(([name, spec]) => [name, spec.schema]))
    )
    schemas.set(specs, schema)
  }
  return schema as unknown as SchemaOf<S>
}

function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value)
  if (typeof value === 'function') return 'a function'
  if (typeof value === 'bigint') return `${value}n`
  if (value instanceof Uint8Array) return `${value.length} bytes`
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'an array' : 'an object'
  return String(value)
}

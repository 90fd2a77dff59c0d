// Option specs: one per sink, from which types, defaults, validation and the tables in docs/ all come.
import * as v from 'valibot'
import { asBytes } from './bytes.ts'
import { errorMessage, LogboomError } from './errors.ts'
import { similarValue } from './foreign-values.ts'
import { pathOfUrl } from './option-values.ts'
import { describeUnknownOption } from './unknown-option.ts'

export {
  bytes,
  count,
  delay,
  durability,
  duration,
  flag,
  folder,
  oneOf,
  path,
  permissions,
  size
} from './option-values.ts'

/** One option: how it is checked and converted, and what its row in the docs says. */
export interface OptionSpec<S extends v.GenericSchema = v.GenericSchema> {
  readonly schema: S
  readonly type: string
  readonly default: string
  readonly description: string
  /** Other names it may be given by. */
  readonly aliases?: readonly string[]
}

export type OptionSpecs = Readonly<Record<string, OptionSpec>>

type Entries<S extends OptionSpecs> = { [K in keyof S]: S[K]['schema'] }
type SchemaOf<S extends OptionSpecs> = v.StrictObjectSchema<Entries<S>, undefined>

type Aliases<O> = O extends { readonly aliases: readonly (infer A extends string)[] } ? A : never
type AliasedIn<S> = { [K in keyof S]: Aliases<S[K]> extends never ? never : K }[keyof S]

/** What a user may pass for a set of specs. Of an option with several names each is optional; one must do. */
export type OptionsInput<S extends OptionSpecs> = Omit<v.InferInput<SchemaOf<S>>, AliasedIn<S>> & {
  [K in AliasedIn<S> | Aliases<S[keyof S]>]?: v.InferInput<SpecOf<S, K>['schema']>
}
type SpecOf<S extends OptionSpecs, K> = K extends keyof S
  ? S[K]
  : { [N in keyof S]: K extends Aliases<S[N]> ? S[N] : never }[keyof S]
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

/** The same option under further names, such as those another package gave it. The docs show them. */
export function alsoNamed<const O extends OptionSpec, const A extends string>(
  spec: O,
  ...aliases: A[]
): O & { readonly aliases: readonly A[] } {
  return { ...spec, aliases }
}

/** Marks options that were checked before. */
const CHECKED = Symbol('checked options')

/** Checked options for another place: `parseOptions` takes them as they are, since thousands of files have the same. */
export function checkedFor<T extends object, P extends object>(checked: T, place: P): T & P {
  // The mark is not enumerable, so that no copy is taken for checked.
  return Object.defineProperty({ ...checked, ...place }, CHECKED, { value: true })
}

/** Whether these are options for another place. */
export function isChecked(input: unknown): boolean {
  return typeof input === 'object' && input !== null && CHECKED in input
}

/**
 * Checks `input` against `specs`; options given by another name come out under their own. Throws `ERR_OPTION` naming
 * the option, the rule and the value. `elsewhere`: options that others have, and who, for a message about one of them.
 */
export function parseOptions<const S extends OptionSpecs>(
  kind: string,
  specs: S,
  input: unknown,
  elsewhere?: ReadonlyMap<string, string>
): OptionsOutput<S> {
  requireObject(kind, input)
  // What is unknown first: `destination` is why `path` is missing.
  const options = readOptions(kind, () =>
    isChecked(input) ? undefined : byOwnName(kind, specs, input, elsewhere)
  )
  if (options === undefined) return input as OptionsOutput<S>
  const result = readOptions(kind, () => v.safeParse(schemaOf(specs), options, { abortEarly: true }))
  if (result.success) return result.output
  const issue = result.issues[0]
  const name = String(issue.path?.[0]?.key ?? '')
  const value = options[name]
  if (value === undefined) throw new LogboomError('ERR_OPTION', `${kind}: option '${name}' is required`)
  throw optionError(kind, name, issue.message, value)
}

/** Throws `ERR_OPTION` unless `input` is an object. */
export function requireObject(kind: string, input: unknown): asserts input is Record<string, unknown> {
  const isObject = typeof input === 'object' && input !== null
  if (isObject && !readOptions(kind, () => Array.isArray(input))) return
  throw new LogboomError('ERR_OPTION', `${kind}: options must be an object, got ${show(input)}`)
}

/**
 * The options that `input` has, inherited ones, too, each read once: for who passes on some of them, which copies of an
 * object that are made by spreading it would lose. Throws `ERR_OPTION`.
 */
export function givenOptions(kind: string, input: unknown): Record<string, unknown> {
  requireObject(kind, input)
  return readOptions(kind, () => {
    const options: Record<string, unknown> = Object.create(null)
    for (const name in input) options[name] = input[name]
    return options
  })
}

/** What `read` answers, which looks into options. Getters and proxies may throw anything: that is an `ERR_OPTION`. */
export function readOptions<T>(kind: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof LogboomError) throw error
    const message = `${kind}: options cannot be read: ${errorMessage(error)}`
    throw new LogboomError('ERR_OPTION', message, { cause: error })
  }
}

/** Options for another thread or process: what cannot be cloned as it is, a URL, as its path. */
export function cloneableOptions<T>(options: T): T {
  if (typeof options !== 'object' || options === null) return options
  const entries = Object.entries(options).map(([name, value]) => {
    return [name, value instanceof URL ? (pathOfUrl(value) ?? value.href) : value] as const
  })
  return Object.fromEntries(entries) as T
}

/** Every name the options of `specs` may be given by. */
export function namesOf(specs: OptionSpecs): string[] {
  return Object.entries(specs).flatMap(([name, { aliases = [] }]) => [name, ...aliases])
}

function byOwnName(
  kind: string,
  specs: OptionSpecs,
  input: Record<string, unknown>,
  elsewhere: ReadonlyMap<string, string> | undefined
): Record<string, unknown> {
  const ownNames = ownNamesOf(specs)
  const options: Record<string, unknown> = {}
  const givenAs = new Map<string, string>()
  for (const name in input) {
    const own = ownNames.get(name)
    const value = input[name]
    if (own === undefined) {
      const message = describeUnknownOption({ name, value, known: namesOf(specs), elsewhere })
      throw new LogboomError('ERR_OPTION', `${kind}: ${message}`)
    }
    if (value === undefined) continue
    const other = givenAs.get(own)
    if (other !== undefined) {
      const message = `options '${other}' and '${name}' are two names of one; give '${own}' alone`
      throw new LogboomError('ERR_OPTION', `${kind}: ${message}`)
    }
    givenAs.set(own, name)
    options[own] = value
  }
  return options
}

/** An `ERR_OPTION` for a rule that a single option's schema cannot express. */
export function optionError(kind: string, name: string, rule: string, value: unknown): LogboomError {
  const near = similarValue(name, value, rule)
  const meant = near === undefined ? '' : `; did you mean ${near}?`
  return new LogboomError('ERR_OPTION', `${kind}: option '${name}' ${rule}, got ${show(value)}${meant}`)
}

const ownNames = new WeakMap<OptionSpecs, ReadonlyMap<string, string>>()

/** Each name → the option's own. */
function ownNamesOf(specs: OptionSpecs): ReadonlyMap<string, string> {
  let names = ownNames.get(specs)
  if (names === undefined) {
    names = new Map(
      Object.entries(specs).flatMap(([own, { aliases = [] }]) =>
        [own, ...aliases].map((name) => [name, own] as const)
      )
    )
    ownNames.set(specs, names)
  }
  return names
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
  const bytes = asBytes(value)
  if (bytes !== undefined) return `${bytes.length} bytes`
  if (typeof value === 'object' && value !== null) return isArray(value) ? 'an array' : 'an object'
  return String(value)
}

/** Of a proxy that answers nothing it cannot be told. */
function isArray(value: object): boolean {
  try {
    return Array.isArray(value)
  } catch {
    return false
  }
}

// The message about an option that a sink does not have: it names the one that was meant, whether misspelt, taken from
// another package, or of another kind of sink; the list of all options comes only where nothing fits.
import { foreignOptions } from './foreign-options.ts'
import { kindsOfOptions } from './kinds-of-options.ts'
import { plainName } from './plain-name.ts'
import { similar } from './similar.ts'

export interface UnknownOption {
  readonly name: string
  readonly value: unknown
  /** The options there are, other names of them included. */
  readonly known: readonly string[]
  /** Options of others that the user may have thought of: name → whose it is. */
  readonly elsewhere?: ReadonlyMap<string, string>
}

/** The message, without the name of the sink in front. */
export function describeUnknownOption(unknown: UnknownOption): string {
  return `unknown option ${quote(unknown.name)}${wayOut(unknown)}`
}

/** So short a word is like too many others. */
const MIN_GUESS_LENGTH = 4

function wayOut({ name, value, known, elsewhere }: UnknownOption): string {
  const owner = elsewhere?.get(name)
  if (owner !== undefined) return isOptionOf(owner)
  const plain = plainName(name)
  const spelt = known.find((each) => plainName(each) === plain)
  if (spelt !== undefined) return didYouMean(spelt)
  const foreign = describeForeign(plain, value, known)
  if (foreign !== undefined) return foreign
  const kinds = kindsOfOptions.get(name)
  if (kinds !== undefined) return isOptionOf(kinds)
  return guess(plain, value, known, elsewhere) ?? `; known options: ${known.join(', ')}`
}

function guess(
  plain: string,
  value: unknown,
  known: readonly string[],
  elsewhere: UnknownOption['elsewhere']
): string | undefined {
  const near = alike(plain, known)
  if (near !== undefined) return didYouMean(near)
  const others = new Map([...kindsOfOptions, ...(elsewhere ?? [])])
  const other = alike(plain, [...(elsewhere?.keys() ?? [])])
  if (other !== undefined) return `${didYouMean(other)} It is an option of ${others.get(other)}`
  const names = foreignOptions.flatMap((row) => row.names)
  const theirs = alike(plain, names)
  return theirs === undefined ? undefined : describeForeign(plainName(theirs), value, known)
}

function alike(plain: string, names: readonly string[]): string | undefined {
  const near =
    plain.length < MIN_GUESS_LENGTH ? startingLike(plain, names) : similar(plain, names.map(plainName))
  return names.find((each) => plainName(each) === near)
}

function startingLike(plain: string, names: readonly string[]): string | undefined {
  const matches = names.map(plainName).filter((each) => plain.length > 2 && each.startsWith(plain))
  return matches.length === 1 ? matches[0] : undefined
}

function describeForeign(name: string, value: unknown, known: readonly string[]): string | undefined {
  let like: string | undefined
  for (const { names, ours, hint, ifValue } of foreignOptions) {
    if (!names.some((each) => plainName(each) === name) || ifValue?.(value) === false) continue
    if (ours.length === 0) return `. ${hint}`
    const meant = ours.find((each) => known.includes(each))
    if (meant !== undefined) return `${didYouMean(meant)}${hint === undefined ? '' : ` ${hint}`}`
    like = ours.find((each) => kindsOfOptions.has(each)) ?? like
  }
  return like === undefined
    ? undefined
    : `; the like of it is '${like}', an option of ${kindsOfOptions.get(like)}`
}

/** What an option of another package is called here, if it is one of `known`; whatever its value. */
export function ourName(name: string, known: readonly string[]): string | undefined {
  const plain = plainName(name)
  const rows = foreignOptions.filter(({ names }) => names.some((each) => plainName(each) === plain))
  const ordered = [...rows.filter((row) => row.ifValue === undefined), ...rows]
  return ordered.flatMap(({ ours }) => ours).find((each) => known.includes(each))
}

function didYouMean(name: string): string {
  return `; did you mean '${name}'?`
}

function isOptionOf(owner: string): string {
  return `; it is an option of ${owner}`
}

/** Names come from outside and may hold anything. */
function quote(name: string): string {
  if (/^[\w$.-]+$/.test(name)) return `'${name}'`
  return JSON.stringify(name.length > 80 ? `${name.slice(0, 80)}…` : name)
}

// The message about an option that a sink does not have: it names the one that was meant, whether misspelt, taken from
// another package, or of another kind of sink; the list of all options comes only where nothing fits.
import { foreignOptions } from './foreign-options.ts'
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
  return `unknown option ${quote(unknown.name)}; ${wayOut(unknown)}`
}

function wayOut({ name, value, known, elsewhere }: UnknownOption): string {
  const owner = elsewhere?.get(name)
  if (owner !== undefined) return `it is an option of ${owner}`
  const plain = known.find((each) => plainName(each) === plainName(name))
  if (plain !== undefined) return didYouMean(plain)
  const foreign = describeForeign(plainName(name), value, known)
  if (foreign !== undefined) return foreign
  const near = similar(plainName(name), known.map(plainName))
  if (near !== undefined) return didYouMean(known.find((each) => plainName(each) === near) as string)
  const others = [...(elsewhere?.keys() ?? [])]
  const other = similar(plainName(name), others.map(plainName))
  const meant = others.find((each) => plainName(each) === other)
  if (meant !== undefined) return `${didYouMean(meant)} It is an option of ${elsewhere?.get(meant)}`
  const theirs = similar(plainName(name), foreignOptions.flatMap(({ names }) => names).map(plainName))
  const guess = theirs === undefined ? undefined : describeForeign(theirs, value, known)
  return guess ?? `known options: ${known.join(', ')}`
}

function describeForeign(name: string, value: unknown, known: readonly string[]): string | undefined {
  for (const { names, ours, hint, ifValue } of foreignOptions) {
    if (!names.some((each) => plainName(each) === name) || ifValue?.(value) === false) continue
    if (ours.length === 0) return hint
    const meant = ours.find((each) => known.includes(each))
    if (meant === undefined) continue
    return `${didYouMean(meant)}${hint === undefined ? '' : ` ${hint}`}`
  }
  return undefined
}

function didYouMean(name: string): string {
  return `did you mean '${name}'?`
}

/** `max_bytes`, `max-bytes` and `MAXBYTES` are one name. */
function plainName(name: string): string {
  return name.toLowerCase().replaceAll(/[_-]/g, '')
}

/** Names come from outside and may hold anything. */
function quote(name: string): string {
  if (/^[\w$.-]+$/.test(name)) return `'${name}'`
  return JSON.stringify(name.length > 80 ? `${name.slice(0, 80)}…` : name)
}

// The names of files in a lane folder. No I/O.
//
// Files of a lane folder. A log is 16 hex digits of the SHA-256 of its path, an owner 32 random hex digits, n counts the
// rings of an owner and k the large records of a ring:
//   <owner>.owner           locked (whole file) as long as the owner lives
//   <log>.<owner>-<n>.ring  a ring; with .new behind it until it is whole
//   <log>.<owner>-<n>-<k>.big  the payload of a record that is larger than half the ring, which a record there names

const RING_NAME = /^([0-9a-f]{16})\.([0-9a-f]{32})-(\d{1,9})\.ring$/
const LARGE_NAME = /^([0-9a-f]{16}\.[0-9a-f]{32}-\d{1,9})-(\d{1,10})\.big$/
const OWNER_NAME = /^([0-9a-f]{32})\.owner$/
const NEW_RING_NAME = /^[0-9a-f]{16}\.([0-9a-f]{32})-\d{1,9}\.ring\.new$/

/** What the name of a ring's file says: the log it belongs to (see `logKey`), who fills it, which of theirs it is. */
export interface RingName {
  readonly log: string
  readonly owner: string
  readonly number: number
}

export function ringName({ log, owner, number }: RingName): string {
  return `${log}.${owner}-${number}.ring`
}

export function parseRingName(name: string): RingName | undefined {
  const match = RING_NAME.exec(name)
  return match === null ? undefined : { log: match[1], owner: match[2], number: Number(match[3]) }
}

/** The name a ring has until it is whole. */
export function newRingName(ring: string): string {
  return `${ring}.new`
}

/** The owner in such a name. */
export function parseNewRingName(name: string): string | undefined {
  return NEW_RING_NAME.exec(name)?.[1]
}

/** Name (or path) of the file of a record too large for the ring at that name (or path). */
export function largeName(ring: string, number: number): string {
  return `${ring.slice(0, -'.ring'.length)}-${number}.big`
}

/** The name of the ring that a file of a large record belongs to. */
export function ringOfLarge(name: string): string | undefined {
  const match = LARGE_NAME.exec(name)
  return match === null ? undefined : `${match[1]}.ring`
}

export function ownerName(owner: string): string {
  return `${owner}.owner`
}

export function parseOwnerName(name: string): string | undefined {
  return OWNER_NAME.exec(name)?.[1]
}

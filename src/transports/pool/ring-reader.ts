// The reading end of a growing ring: its chain of rings as one.
import { assert, fail } from '../../base/assert.ts'
import type { AppendNote, Ring, RingRead } from '../../core/lane/ring.ts'
import { SharedRing } from '../../core/lane/shared-ring.ts'

interface Link {
  readonly ring: SharedRing
  /** Position of the chain at which this ring begins. */
  readonly base: number
}

export class RingReader implements Ring {
  /** Asked when the last ring seems to be the end; true if it has added another one. */
  readonly #more: () => boolean
  /** Those not yet released to their end, oldest first, and the last one in any case. */
  readonly #links: Link[] = []

  constructor(rings: readonly SharedArrayBuffer[], more: () => boolean) {
    assert(rings.length > 0, 'a chain has a ring')
    this.#more = more
    for (const ring of rings) this.add(ring)
  }

  /** The next ring. Nothing is appended to those before it any more. */
  add(buffer: SharedArrayBuffer): void {
    const last = this.#links.at(-1)
    const base = last === undefined ? 0 : last.base + last.ring.written
    this.#links.push({ ring: new SharedRing(buffer), base })
  }

  get capacityBytes(): number {
    return this.#last.ring.capacityBytes
  }

  get written(): number {
    for (;;) {
      const { ring, base } = this.#last
      const written = base + ring.written
      if (!this.#more()) return written
    }
  }

  get drained(): number {
    const [{ ring, base }] = this.#links
    return base + ring.drained
  }

  append(): never {
    fail('a reader appends nothing')
  }

  read(from: number, target: Uint8Array, ends: Uint32Array): RingRead {
    const { ring, base } = this.#at(from)
    const found = ring.read(from - base, target, ends)
    return { ...found, next: base + found.next }
  }

  release(to: number): void {
    for (;;) {
      const [{ ring, base }, following] = this.#links
      if (following === undefined || to < following.base) {
        ring.release(to - base)
        return
      }
      ring.release(following.base - base)
      this.#links.shift()
      if (to === following.base) return
    }
  }

  // A note lies in the ring of the first record it speaks of, so that it lives as long as that record has to.
  note(note: AppendNote | undefined): void {
    for (const { ring } of this.#links) if (ring.noted !== undefined) ring.note(undefined)
    if (note === undefined) return
    const { ring, base } = this.#at(note.from)
    ring.note({ ...note, from: note.from - base })
  }

  get noted(): AppendNote | undefined {
    for (const { ring, base } of this.#links) {
      const note = ring.noted
      if (note !== undefined) return { ...note, from: base + note.from }
    }
    return undefined
  }

  close(): void {
    for (const { ring } of this.#links) ring.close()
  }

  get #last(): Link {
    return this.#links[this.#links.length - 1]
  }

  /** The ring in which a record at `position` begins. */
  #at(position: number): Link {
    for (let index = this.#links.length - 1; index > 0; index--) {
      if (position >= this.#links[index].base) return this.#links[index]
    }
    return this.#links[0]
  }
}

// What the opening thread asks a group of files: files that are new, opened, closed, and what was dropped for them.
import type { GroupFile } from '../files/group-file.ts'
import type { FlusherPort } from './flusher-protocol.ts'

export class GroupRequests {
  readonly #group: GroupFile
  readonly #port: FlusherPort
  /** Files that were asked to be closed, with the numbers of the requests. */
  readonly #toClose = new Map<number, number[]>()

  constructor(group: GroupFile, port: FlusherPort) {
    this.#group = group
    this.#port = port
  }

  /** Whether files are to be closed. */
  get isWaiting(): boolean {
    return this.#toClose.size > 0
  }

  /** Requests were posted before the records they belong to were logged. */
  receive(): void {
    const group = this.#group
    for (let request = this.#port.receive(); request !== undefined; request = this.#port.receive()) {
      const { type, tag } = request
      if (type === 'add') group.add(tag, request.path)
      else if (type === 'dropped') group.countDroppedOf(tag, request.count)
      else if (type === 'open') group.openOf(tag)
      else {
        // What was logged before is written first.
        const numbers = this.#toClose.get(tag)
        if (numbers === undefined) this.#toClose.set(tag, [request.number])
        else numbers.push(request.number)
      }
    }
  }

  /** Requests that came after the flush of this round wait for the next, as does what is held for their file. */
  closeAsked(): void {
    const group = this.#group
    for (const [tag, numbers] of this.#toClose) {
      if (group.holdsOf(tag)) continue
      group.closeOf(tag)
      this.#toClose.delete(tag)
      for (const number of numbers) this.#port.send({ type: 'fileClosed', number })
    }
  }
}

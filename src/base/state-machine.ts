// One explicit state, changed in one place that knows what may follow what.
import { assert } from './assert.ts'

export class StateMachine<State extends string> {
  readonly #name: string
  readonly #next: Readonly<Record<State, readonly State[]>>
  #state: State

  /** `name` says whose state it is: 'a sink'. `next` says what may follow each state. */
  constructor(name: string, next: Readonly<Record<State, readonly State[]>>, first: NoInfer<State>) {
    this.#name = name
    this.#next = next
    this.#state = first
  }

  get state(): State {
    return this.#state
  }

  become(state: State): void {
    assert(
      this.#next[this.#state].includes(state),
      `${this.#name} that is ${this.#state} cannot become ${state}`
    )
    this.#state = state
  }
}

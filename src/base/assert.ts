// What must hold whatever a caller or a disk does. `node:assert` would cost each process 4 ms of CPU to load.

/** Throws unless `value` is truthy: a fault of this package, never of its caller. */
export function assert(value: unknown, message = 'a state that cannot be'): asserts value {
  if (!value) fail(message)
}

export function fail(message: string): never {
  throw Object.assign(new Error(message), { name: 'AssertionError', code: 'ERR_ASSERTION' })
}

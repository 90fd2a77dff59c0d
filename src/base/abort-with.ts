// One signal that follows another.

/** What stops with a signal. Of each signal there is one listener: Node takes more than ten for a leak. */
const followers = new WeakMap<
  AbortSignal,
  { readonly each: Set<() => void>; readonly listener: () => void }
>()

/**
 * Aborts `controller` when `signal` does; returns what ends that. By a listener, because `AbortSignal.any` holds what it
 * follows only weakly: a signal of `AbortSignal.timeout` that nobody else holds is collected before its time and never
 * aborts (Node 20, nodejs/node#57736), and later versions may lose an abort in the same way (nodejs/node#65995).
 */
export function abortWith(controller: AbortController, signal: AbortSignal): () => void {
  const abort = (): void => controller.abort(signal.reason)
  if (signal.aborted) abort()
  else follow(signal, abort)
  return () => leave(signal, abort)
}

function follow(signal: AbortSignal, abort: () => void): void {
  let found = followers.get(signal)
  if (found === undefined) {
    const each = new Set<() => void>()
    const listener = (): void => {
      for (const one of [...each]) one()
    }
    found = { each, listener }
    followers.set(signal, found)
    signal.addEventListener('abort', listener, { once: true })
  }
  found.each.add(abort)
}

function leave(signal: AbortSignal, abort: () => void): void {
  const found = followers.get(signal)
  if (found === undefined || !found.each.delete(abort) || found.each.size > 0) return
  followers.delete(signal)
  signal.removeEventListener('abort', found.listener)
}

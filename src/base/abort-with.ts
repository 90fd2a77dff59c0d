// One signal that follows another.

/**
 * Aborts `controller` when `signal` does; returns what ends that. By a listener, because `AbortSignal.any` holds what it
 * follows only weakly: a signal of `AbortSignal.timeout` that nobody else holds is collected before its time and never
 * aborts (Node 20, nodejs/node#57736), and later versions may lose an abort in the same way (nodejs/node#65995).
 */
export function abortWith(controller: AbortController, signal: AbortSignal): () => void {
  const abort = (): void => controller.abort(signal.reason)
  if (signal.aborted) abort()
  else signal.addEventListener('abort', abort, { once: true })
  return () => signal.removeEventListener('abort', abort)
}

// Whether this process may start threads.
import { LogboomError } from './errors.ts'

/** Throws `ERR_UNSUPPORTED` where Node's permission model refuses a thread to what writes in one. */
export function requireThreads(kind: string, path: string): void {
  if (process.permission?.has('worker') !== false) return
  throw new LogboomError(
    'ERR_UNSUPPORTED',
    `${kind}: ${path} is written by a thread, which Node's permission model refuses; the flag --allow-worker allows it`,
    { path }
  )
}

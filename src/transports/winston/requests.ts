// Rotation and reopening on request, with an answer. Which kinds can be asked is known here, because a sink that cannot
// be asked does not answer.
import { once } from 'node:events'
import { stat } from 'node:fs/promises'
import { LogboomError } from '../../base/errors.ts'
import type { RotatedEvent } from '../../core/sink/contract.ts'
import type { WorkerLink, WorkerLinkOptions } from '../worker-link.ts'

/** How often it is looked whether there is anything to rotate, while no answer comes. */
const LOOK_MS = 50
/** A file whose writing fails is not rotated before it recovers. */
const MAX_LOOKS = 200

/**
 * Rotates now. Resolves with what was done, or undefined if there was nothing to rotate. Rejects `ERR_UNSUPPORTED` for
 * kinds that are not rotated on request.
 */
export async function rotateFile(
  link: WorkerLink,
  { kind, path }: WorkerLinkOptions
): Promise<RotatedEvent | undefined> {
  if (kind === 'wal' || kind === 'event-files') {
    throw new LogboomError('ERR_UNSUPPORTED', `a log of kind ${kind} is not rotated on request: ${path}`, {
      path
    })
  }
  const stop = new AbortController()
  let event: RotatedEvent | undefined
  const rotated = once(link, 'rotated', { signal: stop.signal }).then(([first]: RotatedEvent[]) => {
    event = first
  })
  rotated.catch(() => {})
  try {
    await link.flush()
    link.request('rotate')
    // A flush of a spool has published everything, which is what rotation means there.
    for (let look = 0; look < MAX_LOOKS && event === undefined && kind !== 'spool'; look++) {
      if ((await sizeOf(path)) === 0) break
      await Promise.race([rotated, new Promise((resolve) => setTimeout(resolve, LOOK_MS))])
    }
    // The answer follows what it is about.
    await link.stats()
    return event
  } finally {
    stop.abort()
  }
}

/** Opens the path anew before the next write; of kinds that look at the path themselves, at once. */
export async function reopenFile(link: WorkerLink): Promise<void> {
  link.request('reopen')
  await link.stats()
}

async function sizeOf(path: string): Promise<number> {
  return await stat(path).then(
    ({ size }) => size,
    () => 0
  )
}

// What is asked of a link: rotation and reopening with an answer, and the end at once. Which kinds can be asked is known here, because a sink that cannot
// be asked does not answer.
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
  let event: RotatedEvent | undefined
  const rotated = (first: RotatedEvent): void => {
    event ??= first
  }
  link.on('rotated', rotated)
  try {
    // A flush of a spool publishes everything, which is what rotation means there.
    await link.flush()
    const answer: unknown = link.request('rotate')
    if (answer instanceof Promise) return (await answer) ?? event
    for (let look = 0; look < MAX_LOOKS && event === undefined && kind !== 'spool'; look++) {
      if ((await sizeOf(path)) === 0) break
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
    }
    // The answer follows what it is about.
    await link.stats()
    return event
  } finally {
    link.off('rotated', rotated)
  }
}

/** Opens the path anew before the next write; of kinds that look at the path themselves, at once. */
export async function reopenFile(link: WorkerLink): Promise<void> {
  const answer: unknown = link.request('reopen')
  await (answer instanceof Promise ? answer : link.stats())
}

/** Blocks until everything is written, for links that do not see to it at exit by themselves. */
export function endNow(link: object): void {
  if ('exitNow' in link && typeof link.exitNow === 'function') link.exitNow()
}

async function sizeOf(path: string): Promise<number> {
  return await stat(path).then(
    ({ size }) => size,
    () => 0
  )
}

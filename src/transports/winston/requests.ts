// Rotation on request, with an answer.
import { LogboomError } from '../../base/errors.ts'
import type { RotatedEvent } from '../../core/sink/contract.ts'
import type { WorkerLink, WorkerLinkOptions } from '../worker-link.ts'

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
    const answer = (await link.request('rotate')) as RotatedEvent | undefined
    return answer ?? event
  } finally {
    link.off('rotated', rotated)
  }
}

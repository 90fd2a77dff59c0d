// Chooses the queue of a sink: in memory alone, or over rings, its own one and those of the dead.
import { LogboomError } from '../../base/errors.ts'
import { cloneableOptions, givenOptions } from '../../base/options.ts'
import type { Dropped, RecordQueue } from '../queue/byte-queue.ts'
import type { Account } from '../sink/account.ts'
import type { LaneOptions } from '../sink/common-options.ts'
import { type GivenLane, internals, takeLane } from '../sink/internals.ts'
import { nothingDropped } from '../sink/target.ts'
import { LaneAdopter } from './adopter.ts'
import type { LaneFormat } from './lane-codec.ts'
import { LaneQueue, type LaneRules, type QueueLane } from './lane-queue.ts'
import { LaneSource } from './lane-source.ts'
import { NoRoomNews, noLane } from './no-room.ts'
import { OwnLane } from './own-lane.ts'
import { addSource, removeSource } from './settle.ts'
import { LaneLook } from './watch.ts'

export interface QueueSubject {
  readonly account: Account
  readonly kind: string
  /** The options as they were given, for whoever has to write out what is left; … */
  readonly given: unknown
  /** … and what holds in place of them, such as an absolute path. */
  readonly place: object
  /** The option `lane`. */
  readonly lane?: false | LaneOptions | undefined
  readonly maxBufferBytes: number
  /** What the sink has without a lane, and what is in no ring. */
  readonly memory: RecordQueue
  readonly format: LaneFormat
  readonly rules: LaneRules
  /** Called before the first record of a ring that was taken over is written. */
  readonly beforeAdopted?: () => void
}

export interface OpenedQueue {
  readonly queue: RecordQueue
  /** The same, if there are rings. */
  readonly lane: LaneQueue | undefined
  /** The bound of the pump. */
  readonly maxBufferBytes: number
  /** To be called when the sink is open. `write` has its pump write at once: what others have left has waited long enough. */
  start(write: () => void): void
}

/** The queue of a sink that is being constructed. */
export function openQueue(subject: QueueSubject): OpenedQueue {
  const { account, kind, memory, maxBufferBytes, format, rules } = subject
  const given = takeLane()
  const own = given === undefined ? createOwn(subject) : givenLane(given, format)
  const dir = typeof subject.lane === 'object' ? subject.lane.dir : undefined
  const adopter = new LaneAdopter({ account, kind, dir, own: own?.source.id, unit: format.unit })
  const look = new LaneLook()
  let isTold = false
  const tellLeft = (how: string): void => {
    const left = own instanceof OwnLane && !isTold ? leftIn(own) : nothingDropped
    if (left.lines <= 0) return
    isTold = true
    const what = `${left.lines} records (${left.bytes} bytes)`
    account.notice(
      `${account.path} was ${how} with ${what} in its lane; who opens the log next writes them`,
      true
    )
  }
  if (own === undefined && !(internals().looksForLanes && adopter.hasOthers(look))) {
    return { queue: memory, lane: undefined, maxBufferBytes, start: () => {} }
  }
  const queue = new LaneQueue(
    {
      lost: (dropped) => account.drop(dropped),
      damaged(source) {
        if (source !== own?.source) adopter.leave(source)
        else account.warn('ERR_CORRUPT', `the lane of ${account.path} is damaged: what is in it is lost`)
      },
      begins(source) {
        subject.beforeAdopted?.()
        adopter.begin(source)
      },
      emptied: (source) => adopter.finish(source),
      closed() {
        adopter.close()
        tellLeft('closed')
        if (own instanceof OwnLane) own.close()
        else if (own !== undefined) removeSource(own.source)
      },
      exited() {
        tellLeft('left at the exit of the process')
        if (own instanceof OwnLane) own.exit()
      }
    },
    rules,
    memory,
    own
  )
  return {
    queue,
    lane: queue,
    maxBufferBytes: own instanceof OwnLane ? Math.min(maxBufferBytes, own.capacityBytes) : maxBufferBytes,
    start(write) {
      adopter.adopt(queue, look)
      adopter.watch(queue, look, write)
      write()
    }
  }
}

function givenLane({ ring, id, survives, unit }: GivenLane, format: LaneFormat): QueueLane {
  const ownUnit = format.unit === 'text' ? 'text' : (unit ?? 'line')
  const source = new LaneSource(ring, { ...format, unit: ownUnit }, id)
  addSource(source)
  return { source, isFilledHere: false, survives }
}

/** The ring that was asked for; where there can be none, that is said, and records wait in memory. */
function createOwn({ account, kind, given, place, lane, format }: QueueSubject): OwnLane | undefined {
  if (lane === false || lane === undefined) return undefined
  try {
    const subject = {
      path: account.path,
      kind,
      options: cloneableOptions({ ...givenOptions(kind, given), ...place })
    }
    const noRoom = new NoRoomNews(account.path, (message) => account.warn('ERR_IO', message))
    return new OwnLane(lane, subject, format, noRoom)
  } catch (error) {
    account.warn(error instanceof LogboomError ? error.code : 'ERR_IO', noLane(account.path, error))
    return undefined
  }
}

/** What is in the ring and in no file, and is not lost with the process. */
function leftIn(own: OwnLane): Dropped {
  if (!own.survives || own.isEmpty) return nothingDropped
  const { mortal } = own
  const { records, bytes } = own.source.count()
  return { lines: records - mortal.lines, bytes: bytes - mortal.bytes }
}

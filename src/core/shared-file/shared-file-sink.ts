// What the sinks share whose file several writers append to, beyond what every sink has: rotation and reopening on
// request, and what has to wait for the lock.
import { setTimeout as setTimeoutAsync } from 'node:timers/promises'
import { LogboomError } from '../../base/errors.ts'
import { afterFailure, Backoff, whileBusy } from '../sink/backoff.ts'
import type { ControlRequest, RotatedEvent } from '../sink/contract.ts'
import type { Pump } from '../sink/pump.ts'
import { PumpedSink } from '../sink/pumped-sink.ts'
import type { SharedFileTarget } from './shared-file-target.ts'

export abstract class SharedFileSink extends PumpedSink {
  #target: SharedFileTarget | undefined

  /** Rotates now. Resolves with what was done, or undefined if the file is empty. Rejects `ERR_CLOSED`. */
  async rotate(): Promise<RotatedEvent | undefined> {
    await this.pump.flushLines('os')
    let event: RotatedEvent | undefined
    await this.#untilTurn(() => {
      if (this.target.file.size > 0) event = this.target.rotate()
    })
    return event
  }

  /** Opens the path anew before the next write. */
  reopen(): void {
    this.target.file.reopen()
  }

  /** @internal */
  protected get target(): SharedFileTarget {
    return this.#target!
  }

  /**
   * To be called once by the constructor of a kind, last.
   * @internal
   */
  protected start(pump: Pump, target: SharedFileTarget): void {
    this.#target = target
    this.attach(pump)
    pump.open()
    target.start(() => pump.stats())
  }

  /**
   * Does `work` under the lock once it is free, however long that takes; what fails is reported once, and tried again.
   * @internal
   */
  protected async whenFree(work: () => void): Promise<void> {
    const backoff = new Backoff(afterFailure)
    for (let failures = 0; !this.pump.isClosing; failures++) {
      try {
        return await this.#untilTurn(work, true)
      } catch (error) {
        if (failures === 0 && !this.pump.isClosing) this.target.warnOf(error)
      }
      await setTimeoutAsync(backoff.next(), undefined, { ref: false })
    }
  }

  /** @internal */
  override control(request: ControlRequest): boolean {
    if (request.type === 'rotate') this.rotate().catch((error) => this.target.warnOf(error))
    else this.reopen()
    return true
  }

  async #untilTurn(work: () => void, isIdle = false): Promise<void> {
    const backoff = new Backoff(whileBusy)
    while (!this.target.turn(0, work)) {
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, backoff.next())
        if (isIdle) timer.unref()
      })
      if (this.pump.isClosed) throw closed(this.target.path)
    }
  }
}

function closed(path: string): LogboomError {
  return new LogboomError('ERR_CLOSED', `the sink of ${path} is closed`, { path })
}

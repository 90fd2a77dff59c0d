export interface Place {
  readonly port: number
  readonly secondPort: number
  readonly data: string
  readonly extra?: unknown
}
export declare function commandOf(name: string, place: Place): [string, ...string[]]
export declare function isListening(port: number): Promise<boolean>

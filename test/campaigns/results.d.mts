export interface CampaignResult {
  readonly campaign: string
  readonly seconds: number
  readonly passed: number
  readonly failed: readonly object[]
  readonly counts: Readonly<Record<string, number>>
}

export interface CampaignSum {
  runs: number
  seconds: number
  passed: number
  failed: number
  counts: Record<string, number>
}

export function addCounts(text: string): Record<string, number>
export function describeCounts(counts: Readonly<Record<string, number>>): string
export function readResults(folder: string): CampaignResult[]
export function sumResults(results: readonly CampaignResult[]): Record<string, CampaignSum>

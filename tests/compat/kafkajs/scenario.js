// Produce and admin calls with kafkajs, which reads in consumer groups only: what was written is checked by offsets
// here, and by content in the other clients. Arguments: BOOTSTRAP, a word for topic names.
const { Kafka, CompressionTypes, ConfigResourceTypes, logLevel } = require('kafkajs')

const [bootstrap, word] = process.argv.slice(2)
const kafka = new Kafka({ clientId: 'interop', brokers: [bootstrap], logLevel: logLevel.ERROR })
const topic = `kafkajs-${word}`
const COUNT = 60

async function step(name, body) {
  try {
    await body()
    console.log(`ok ${name}`)
  } catch (error) {
    console.log(`FAILED ${name}: ${error.name}: ${error.message}`)
    process.exit(1)
  }
}

function equal(what, expected, got) {
  const [a, b] = [JSON.stringify(expected), JSON.stringify(got)]
  if (a !== b) throw new Error(`${what}: expected ${a}, got ${b}`)
}

async function fails(type, call) {
  try {
    await call()
  } catch (error) {
    const cause = error.originalError || error.cause || error
    return equal('error', type, cause.type || cause.name)
  }
  throw new Error(`expected ${type}, got a result`)
}

const messages = () =>
  Array.from({ length: COUNT }, (_, i) => ({ key: `k${i}`, value: `v${i}`, partition: 1, headers: { h: `${i}` } }))

async function offsets(admin, name, partition) {
  const found = (await admin.fetchTopicOffsets(name)).find(p => p.partition === partition)
  return [found.low, found.high]
}

async function main() {
  const admin = kafka.admin()
  await admin.connect()
  await step('createTopics', async () => {
    const configEntries = [{ name: 'retention.ms', value: '3600000' }]
    const created = await admin.createTopics({
      waitForLeaders: true, topics: [{ topic, numPartitions: 3, replicationFactor: 1, configEntries }],
    })
    equal('created', true, created)
    equal('created again', false, await admin.createTopics({ topics: [{ topic }] }))
  })
  let written = 0
  for (const acks of [0, 1, -1]) {
    for (const compression of [CompressionTypes.None, CompressionTypes.GZIP]) {
      await step(`send acks ${acks} codec ${compression}`, async () => {
        const producer = kafka.producer()
        await producer.connect()
        const answer = await producer.send({ topic, acks, compression, messages: messages() })
        await producer.disconnect()
        if (acks !== 0) equal('base offset', String(written), answer[0].baseOffset)
        written += COUNT
        const until = Date.now() + 20000
        while ((await offsets(admin, topic, 1))[1] !== String(written)) {
          if (Date.now() > until) equal('offsets', ['0', String(written)], await offsets(admin, topic, 1))
        }
      })
    }
  }
  await step('idempotent send', async () => {
    const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 })
    await producer.connect()
    for (let round = 0; round < 3; round++) {
      const answer = await producer.send({ topic, acks: -1, messages: messages() })
      equal('base offset', String(written), answer[0].baseOffset)
      written += COUNT
    }
    await producer.disconnect()
  })
  await step('send to a new topic creates it', async () => {
    const producer = kafka.producer({ allowAutoTopicCreation: true })
    await producer.connect()
    await producer.send({ topic: `${topic}-auto`, messages: [{ value: 'x' }] })
    await producer.disconnect()
  })
  await step('metadata', async () => {
    const found = (await admin.fetchTopicMetadata({ topics: [topic] })).topics[0]
    equal('partitions', [0, 1, 2], found.partitions.map(p => p.partitionId).sort())
    equal('listed', true, (await admin.listTopics()).includes(topic))
    equal('brokers', 1, (await admin.describeCluster()).brokers.length)
    await fails('UNKNOWN_TOPIC_OR_PARTITION', () => admin.fetchTopicOffsets(`${topic}-absent`))
  })
  await step('offsets by timestamp', async () => {
    const now = await admin.fetchTopicOffsetsByTimestamp(topic, 1)
    equal('first of all', '0', now.find(p => p.partition === 1).offset)
  })
  await step('configs', async () => {
    const resource = { type: ConfigResourceTypes.TOPIC, name: topic }
    const value = async key => {
      const { resources } = await admin.describeConfigs({ includeSynonyms: true, resources: [resource] })
      return resources[0].configEntries.find(e => e.configName === key).configValue
    }
    equal('retention.ms', '3600000', await value('retention.ms'))
    const configEntries = [{ name: 'segment.bytes', value: '20000000' }]
    await admin.alterConfigs({ validateOnly: false, resources: [{ ...resource, configEntries }] })
    const until = Date.now() + 20000
    while ((await value('segment.bytes')) !== '20000000') {
      if (Date.now() > until) throw new Error('segment.bytes has not changed')
    }
  })
  await step('createPartitions', async () => {
    await admin.createPartitions({ topicPartitions: [{ topic, count: 5 }] })
    const until = Date.now() + 20000
    while ((await admin.fetchTopicMetadata({ topics: [topic] })).topics[0].partitions.length !== 5) {
      if (Date.now() > until) throw new Error('no five partitions')
    }
  })
  await step('deleteTopicRecords', async () => {
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 1, offset: '100' }] })
    equal('offsets', ['100', String(written)], await offsets(admin, topic, 1))
  })
  await step('deleteTopics', () => admin.deleteTopics({ topics: [topic] }))
  await admin.disconnect()
}

main()

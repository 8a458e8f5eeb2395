// A member of a group until SIGTERM; see groups.sh. Arguments: BOOTSTRAP GROUP TOPIC ASSIGNOR. kafkajs calls its round
// robin by a name of its own; as "roundrobin" it shares a group with other clients.
const { Kafka, PartitionAssigners, AssignerProtocol, logLevel } = require('kafkajs')

const [bootstrap, groupId, topic, assignor] = process.argv.slice(2)
const kafka = new Kafka({ clientId: 'interop', brokers: [bootstrap], logLevel: logLevel.ERROR, retry: { retries: 100, maxRetryTime: 1000 } })
const roundRobin = context => ({
  ...PartitionAssigners.roundRobin(context),
  name: assignor,
  protocol: ({ topics }) => ({ name: assignor, metadata: AssignerProtocol.MemberMetadata.encode({ version: 0, topics }) }),
})
const consumer = kafka.consumer({
  groupId, sessionTimeout: 10000, heartbeatInterval: 300, maxWaitTimeInMs: 200, partitionAssigners: [roundRobin],
})

async function main() {
  await consumer.connect()
  consumer.on(consumer.events.GROUP_JOIN, event =>
    console.log(['owns', ...(event.payload.memberAssignment[topic] || [])].join(' ')))
  consumer.on(consumer.events.REBALANCING, () => console.log('owns'))
  process.on('SIGTERM', async () => {
    await consumer.disconnect()
    console.log('left')
    process.exit(0)
  })
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({
    eachMessage: async ({ partition, message }) => console.log(`read ${partition} ${message.offset} ${message.value}`),
  })
}

main()

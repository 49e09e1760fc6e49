# SPDX-License-Identifier: MIT
"""The trace in Perfetto's own format, a sequence of protobuf messages: a process for each CPU, in it a track for each level.

Of Perfetto's messages those few fields are described here that this writes; python3-protobuf makes the rest of it. Perfetto's
documentation: "Converting arbitrary timestamped data to Perfetto".
"""
import forms
import read
import slices

SEQUENCE = 1
SLICE_BEGIN, SLICE_END = 1, 2  # TrackEvent.Type
TRACKS = 8  # numbers of tracks that each CPU has

# Message: (field, its number, its type); the name of another message is that message, and * says that there may be several.
MESSAGES = {
    "Trace": (("packet", 1, "TracePacket*"),),
    "TracePacket": (("timestamp", 8, "uint64"), ("trusted_packet_sequence_id", 10, "uint32"), ("track_event", 11, "TrackEvent"),
                    ("track_descriptor", 60, "TrackDescriptor")),
    "TrackDescriptor": (("uuid", 1, "uint64"), ("name", 2, "string"), ("process", 3, "ProcessDescriptor"),
                        ("parent_uuid", 5, "uint64")),
    "ProcessDescriptor": (("pid", 1, "int32"), ("process_name", 6, "string")),
    "TrackEvent": (("debug_annotations", 4, "DebugAnnotation*"), ("type", 9, "int32"), ("track_uuid", 11, "uint64"),
                   ("categories", 22, "string*"), ("name", 23, "string")),
    "DebugAnnotation": (("string_value", 6, "string"), ("name", 10, "string")),
}


def describe(file, field_type):
    """Puts MESSAGES into the FileDescriptorProto."""
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, kind in fields:
            one = message.field.add(name=field, number=number, label=3 if kind.endswith("*") else 1)
            kind = kind.rstrip("*")
            if kind in MESSAGES:
                one.type, one.type_name = field_type.TYPE_MESSAGE, ".%s.%s" % (file.package, kind)
            else:
                one.type = getattr(field_type, "TYPE_" + kind.upper())


def messages():
    """{name: class} of MESSAGES."""
    try:
        from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    except ImportError:
        raise read.TraceError("Perfetto's format needs python3-protobuf; --json does without it") from None
    file = descriptor_pb2.FileDescriptorProto(name="socle/trace.proto", package="socle.trace", syntax="proto2")
    describe(file, descriptor_pb2.FieldDescriptorProto)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    get_class = getattr(message_factory, "GetMessageClass", None) or message_factory.MessageFactory(pool).GetPrototype
    return {name: get_class(pool.FindMessageTypeByName("socle.trace." + name)) for name in MESSAGES}


class Writer:
    """Packets one by one: a trace is also what stands there when traces of one packet each stand one behind the other."""

    def __init__(self, file):
        self.file = file
        self.trace = messages()["Trace"]

    def put(self, fill):
        one = self.trace()
        fill(one.packet.add())
        self.file.write(one.SerializeToString())

    def track(self, uuid, name, pid=None, parent=None):
        def fill(packet):
            packet.track_descriptor.uuid = uuid
            packet.track_descriptor.name = name
            if pid is not None:
                packet.track_descriptor.process.pid = pid
                packet.track_descriptor.process.process_name = name
            if parent is not None:
                packet.track_descriptor.parent_uuid = parent
        self.put(fill)

    def event(self, timestamp, kind, uuid, name=None, category=None, arguments=None):
        def fill(packet):
            packet.timestamp = timestamp
            packet.trusted_packet_sequence_id = SEQUENCE
            event = packet.track_event
            event.type, event.track_uuid = kind, uuid
            if name:
                event.name = name
                event.categories.append(category)
            for key, value in (arguments or {}).items():
                event.debug_annotations.add(name=key, string_value=value)
        self.put(fill)


def write(trace, symbols, khz, file):
    writer = Writer(file)
    start = min((event.exit for event in trace.events()), default=0)
    for cpu in trace.cpus:
        process = TRACKS * (cpu + 1)
        writer.track(process, "CPU %d" % cpu, pid=cpu + 1)  # 0 is the idle process
        for level, name in enumerate(forms.LEVELS):
            writer.track(process + 1 + level, name, parent=process)
    for one in slices.of_trace(trace):
        uuid = TRACKS * (one.cpu + 1) + 1 + one.level
        begin, end = ((ticks - start) * 1_000_000 // khz for ticks in (one.begin, one.end))
        if one.level == 0:
            writer.event(begin, SLICE_BEGIN, uuid, read.name(one.event), "exit", forms.arguments(one.event, symbols))
        else:
            writer.event(begin, SLICE_BEGIN, uuid, "L%d" % one.level, "guest", {"ends by": read.name(one.event)})
        writer.event(end, SLICE_END, uuid)

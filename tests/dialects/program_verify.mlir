// RUN: weft-opt %s -split-input-file -verify-diagnostics

program.entry @outside attributes {arguments = []} {
  %a = program.buffer arena bytes 64 offset 0
  program.loop 0 to 4 {
    %fits = program.view %a offset 16 bytes 12 strides [12]
    // expected-error @below {{touches bytes [16, 65) of a buffer of 64}}
    %v = program.view %a offset 16 bytes 13 strides [12]
    program.zero %v
  }
}

// -----

program.entry @before attributes {arguments = []} {
  %a = program.buffer arena bytes 64 offset 0
  program.loop 2 to 4 {
    %fits = program.view %a offset -16 bytes 8 strides [8]
    // expected-error @below {{touches bytes [-8, 8) of a buffer of 64}}
    %v = program.view %a offset -24 bytes 8 strides [8]
    program.zero %v
  }
}

// -----

program.entry @too_many_strides attributes {arguments = []} {
  %a = program.buffer arena bytes 64 offset 0
  // expected-error @below {{strides over 1 loops inside of 0}}
  %v = program.view %a offset 0 bytes 8 strides [8]
  program.zero %v
}

// -----

program.entry @growing attributes {arguments = []} {
  %a = program.buffer arena bytes 64 offset 0
  program.loop 0 to 0 attributes {count_argument = 0 : i64} {
    // expected-error @below {{known only at run time, in memory of a known size}}
    %v = program.view %a offset 0 bytes 8 strides [8]
    program.zero %v
  }
}

// -----

program.entry @copy attributes {arguments = []} {
  %a = program.buffer arena bytes 64 offset 0
  %b = program.buffer arena bytes 32 offset 64
  // expected-error @below {{copies 64 bytes to 32}}
  program.copy %a to %b
}

// -----

program.entry @reduce attributes {arguments = []} {
  %a = program.buffer arena bytes 64 offset 0
  // expected-error @below {{of 8 elements has a buffer of 64 bytes}}
  program.all_reduce %a elements 8 dtype 0 axis 0
}

// -----

program.entry @axis attributes {arguments = []} {
  %a = program.buffer arena bytes 64 offset 0
  // expected-error @below {{is over axis 2 when it should be 0 or 1}}
  program.send %a axis 2 peer 1 tag 0
}

// -----

program.entry @argument attributes {arguments = []} {
  // expected-error @below {{is argument 1 of 0}}
  %a = program.buffer argument bytes 64 offset 0 {index = 1 : i64}
  program.zero %a
}

// -----

// expected-error @below {{argument 0 has no output}}
program.entry @described attributes {arguments = [{name = "x"}]} {
}

// -----

// expected-error @below {{holds 0 kernel ops when it should hold 1}}
program.kernel @k num_sizes 0 {
}

// -----

program.entry @part attributes {arguments = []} {
  // expected-error @below {{is part 2 of 2}}
  program.loop 0 to 4 attributes {part = 2 : i64, parts = 2 : i64} {
  }
}

// -----

program.entry @buffer_of_negative_size attributes {arguments = []} {
  // expected-error @below {{has -4 bytes at offset 0}}
  %a = program.buffer arena bytes -4 offset 0
  program.zero %a
}

// -----

program.entry @buffer_before_the_arena attributes {arguments = []} {
  // expected-error @below {{has 64 bytes at offset -2}}
  %a = program.buffer arena bytes 64 offset -2
  program.zero %a
}

// -----

program.entry @loop_ends_before_it_begins attributes {arguments = []} {
  // expected-error @below {{runs from 4 to 2}}
  program.loop 4 to 2 {
  }
}

// -----

program.entry @launch_of_negative_items attributes {arguments = []} {
  // expected-error @below {{items in pieces of 1}}
  program.launch @k () sizes [] items -1
}

// -----

program.entry @launch_without_a_piece attributes {arguments = []} {
  // expected-error @below {{runs 8 items in pieces of 0}}
  program.launch @k () sizes [] items 8 {piece = 0 : i64}
}

// -----

program.entry @reduce_of_an_unknown_type attributes {arguments = []} {
  %a = program.buffer arena bytes 64 offset 0
  // expected-error @below {{is of dtype 4}}
  program.all_reduce %a elements 16 dtype 4 axis 0
}

// -----

program.entry @send_to_before_the_first attributes {arguments = []} {
  %a = program.buffer arena bytes 64 offset 0
  // expected-error @below {{and tag 0}}
  program.send %a axis 1 peer -1 tag 0
}

// -----

program.entry @receive_with_a_negative_tag attributes {arguments = []} {
  %a = program.buffer arena bytes 64 offset 0
  // expected-error @below {{has peer 0 and tag}}
  program.receive %a axis 1 peer 0 tag -1
}

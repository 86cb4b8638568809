#!/usr/bin/perl
# configure.pl LOG [TARGET...] -- cmake ARGUMENT...: configure, and name everything that would come from the network.
#
# There is no network here. What cmake executes is read from its own trace while it runs: where it asks for a download, by
# which command, and which option of the project guards that line. So a download fails here and in these words, also where
# the project does not look at the result, or would ask during the build. Perl, because Debian calls it essential.
use strict;
use warnings;

my $log = shift @ARGV;
my @targets;
push @targets, shift @ARGV while @ARGV && $ARGV[0] ne '--';
shift @ARGV;
my @cmake = @ARGV;
my %given;
for my $word (0 .. $#cmake) {
    $given{$1} = $cmake[$word + 1] if $cmake[$word] =~ /^-([SB])$/;
}
my $root = '/src';    # Where every Dockerfile puts the source.
$root = $given{S} unless $given{S} =~ m{^\Q$root\E(/|$)};

my $remote = qr{(?:https?|ftps?|sftp|git|ssh|svn|hg)(?:\+\w+)?://(?!/)[^\s"']+|[\w.-]+\@[\w.-]+:[^\s"']+};
my (%option, %declared, @external, @custom, @asked, %said);
# An option that only the recipe names is one too: a plain `if` may read it.
for (@cmake) { $option{$1} = 1 if /^-D([A-Za-z_]\w*)[=:]/ }

# --- cmake's trace -------------------------------------------------------------------------------------------------------

# One line of the trace: {"args":[...],"cmd":"file","file":"/src/CMakeLists.txt","frame":1,"global_frame":1,"line":41,...}
my $traced = qr/^\{"args":\[(.*?)\],"cmd":"(\w+)".*?"file":"((?:[^"\\]|\\.)*)","frame":\d+,"global_frame":(\d+),"line":(\d+)/;
my %mark = (n => "\n", t => "\t", r => "\r", b => "\b", f => "\f");

sub words {
    my ($json) = @_;
    my @words;
    while ($json =~ /"((?:[^"\\]|\\.)*)"/g) {
        my $word = $1;
        $word =~ s{\\(?:u([0-9a-f]{4})|(.))}{defined $1 ? chr hex $1 : $mark{$2} // $2}gei;
        push @words, $word;
    }
    return @words;
}

my @stack;

# Takes one executed command; true when nothing after it is worth waiting for.
sub executed {
    my ($args, $name, $file, $depth, $line) = @_;
    $#stack = $depth;
    $stack[$depth] = { cmd => $name, args => $args, file => $file, line => $line };
    my $cmd = lc $name;
    return 0 unless $cmd =~ /^(option|set|file|execute_process|fetchcontent_declare|externalproject_add|add_custom_command|add_custom_target)$/;
    my @args = words($args);
    if ($cmd eq 'option') { $option{ $args[0] } = 1 }
    elsif ($cmd eq 'set') { $option{ $args[0] } = 1 if $args && $args =~ /"CACHE","BOOL"/ }
    elsif ($cmd eq 'fetchcontent_declare') { $declared{ lc $args[0] } //= place("$name($args[0])", address(@args)) }
    elsif ($cmd eq 'externalproject_add') {
        my $address = address(@args);
        push @external, { name => $args[0], %{ place("$name($args[0])", $address) } } if $address;
    }
    elsif ($cmd =~ /^add_custom/) { push @custom, { text => join(' ', @args), %{ place($name, '') } } }
    elsif ($cmd eq 'file') { return download(@args) if $args[0] =~ /^(DOWNLOAD|UPLOAD)$/ }
    else { return program(@args) }
    return 0;
}

# The address of a FetchContent or ExternalProject, unless it lies on this machine.
sub address {
    my %last;
    my $key = '';
    for (map { split /;/ } @_) {
        if (/^(URL|GIT_REPOSITORY|SVN_REPOSITORY|HG_REPOSITORY|CVS_REPOSITORY)$/) { $key = $_ }
        elsif ($key) { $last{$key} = $_; $key = '' }
    }
    my ($found) = grep { /^$remote/ } values %last;
    return $found // '';
}

# A download, with the frames that led to it.
sub place {
    my ($by, $address) = @_;
    return { by => $by, address => $address, frames => [ reverse grep { defined } @stack ] };
}

sub ask {
    my ($one) = @_;
    my $key = join ' ', $one->{address}, $one->{by};
    push @asked, $one unless $said{$key}++;
}

# FetchContent is fatal where it fails, after a minute and a half of retries.
sub fetching {
    my ($of) = grep { $_->{cmd} =~ /^FetchContent_(MakeAvailable|Populate)$/i } grep { defined } @stack;
    return unless $of;
    my ($populating) = reverse grep { $_->{cmd} =~ /^(__FetchContent_\w*Populat\w*|FetchContent_Populate)$/i } grep { defined } @stack;
    my ($name) = words(($populating // $of)->{args});
    return ($name, $declared{ lc $name });
}

sub download {
    my ($how, @args) = @_;
    my ($address) = grep { /^$remote/ } @args;
    return 0 if !$address || $how eq 'DOWNLOAD' && kept(@args);
    my ($name, $declared) = fetching();
    return fetch($name, $declared, $address) if $name;
    ask(place("file($how)", $address));
    return 0;
}

# A file that is there already, with the hash that it is to have: cmake asks nobody for it.
sub kept {
    my (undef, $file, @options) = @_;
    my ($kind, $wanted) = "@options" =~ /\bEXPECTED_(?|HASH (MD5|SHA\d+)=|(MD5) )([0-9a-fA-F]+)/;
    return 0 unless $wanted && -f $file;
    open my $sum, '-|', lc "${kind}sum", '--', $file or return 0;
    my ($found) = (<$sum> // '') =~ /^\\?([0-9a-f]+)/;
    return ($found // '') eq lc $wanted;
}

sub fetch {
    my ($name, $declared, $address) = @_;
    my $here = place("FetchContent($name)", $address);
    my @at = $declared ? (%$declared, frames => [ @{ $here->{frames} }, @{ $declared->{frames} } ], at => $declared->{frames}) : ();
    ask({ %$here, @at, address => $declared && $declared->{address} || $address, fetched => $name });
    return 1;
}

# A program that configure runs: is it one that downloads, or a cmake that was told to?
sub program {
    my @args = map { split /;/ } @_;
    my ($folder) = map { $args[$_] eq 'WORKING_DIRECTORY' ? $args[ $_ + 1 ] : () } 0 .. $#args;
    my @commands;
    for (@args) {
        if ($_ eq 'COMMAND') { push @commands, [] }
        elsif (/^(WORKING_DIRECTORY|TIMEOUT|(RESULTS?|OUTPUT|ERROR)_VARIABLE|(INPUT|OUTPUT|ERROR)_FILE|COMMAND_\w+)$/) { last }
        elsif (@commands) { push @{ $commands[-1] }, $_ }
    }
    for my $command (grep { @$_ } @commands) {
        my @rest = @$command[ 1 .. $#$command ];
        if ($command->[0] =~ m{(^|/)cmake$} && "@rest" !~ /(^| )-[EP] /) {
            my ($at) = "@rest" =~ /(?:--build|-S) ?(\S+)/;
            $at //= (grep { !/^-/ } @rest)[-1] // '.';
            my $below = $at =~ m{^/} ? $at : join '/', $folder // '.', $at;
            my ($added) = grep { $_->[1] eq 'externalproject_add' } commands("$below/CMakeLists.txt");
            my $address = $added && address(map { /^"?(.*?)"?$/s } @$added[ 2 .. $#$added ]);
            next unless $address;
            my ($name, $declared) = fetching();
            return fetch($name, $declared, $address) if $name;
            ask(place('execute_process(cmake)', $address));
            return 1;
        }
        my ($who, $address) = downloads(@$command);
        ask(place("execute_process($who)", $address)) if $who;
    }
    return 0;
}

# Who downloads what, if these words of a command do.
my %fetches = (
    git => qr/^(clone|fetch|pull|ls-remote|submodule|lfs)$/, npm => qr/^(install|ci|i|add)$/, npx => qr/./,
    yarn => qr/^(install|add)$/, pnpm => qr/^(install|add|i)$/, pip => qr/^(install|download)$/, cargo => qr/^(fetch|install)$/,
    go => qr/^(get|install)$/, conan => qr/^install$/, hf => qr/^download$/, 'huggingface-cli' => qr/^download$/,
);

sub downloads {
    my @words = @_;
    splice @words, 0, 3 if "@words" =~ m{^(\S*/)?cmake -E env };
    shift @words while @words && $words[0] =~ m{^(\w+=|.*/env$|env$|timeout$|[\d.]+s?$)};
    return unless @words;
    my ($who) = shift(@words) =~ m{([^/]+)$};
    if ($who =~ /^(ba|da)?sh$/ && @words > 1 && $words[0] =~ /^-\w*c$/) {
        for my $part (split /&&|\|\||[;|\n]/, $words[1]) {
            my @found = downloads(split ' ', $part);
            return @found if @found;
        }
        return;
    }
    my ($address) = "@words" =~ /($remote)/;
    return ($who, $address) if $who =~ /^(curl|wget|aria2c|svn|hg)$/ && $address;
    ($who, @words) = ($words[1], @words[ 2 .. $#words ]) if $who =~ /^python[\d.]*$/ && @words > 1 && $words[0] eq '-m';
    $who =~ s/^pip3.*/pip/;
    splice @words, 0, 2 while $who eq 'git' && @words > 1 && $words[0] =~ /^-[cC]$/;
    my ($verb) = grep { !/^-/ } @words;
    return if grep { /^--(offline|no-index|frozen)$/ } @words;
    return unless $fetches{$who} && defined $verb && $verb =~ $fetches{$who};
    # A remote that is a folder here, or a question about submodules, needs no network.
    return if $who eq 'git' && ($verb eq 'clone' && !$address || $verb eq 'submodule' && "@words" !~ /submodule (\S+ )*update/);
    return ("$who $verb", $address // "what `$who $verb` gets");
}

# --- the option that guards a line ---------------------------------------------------------------------------------------

sub text {
    my ($path) = @_;
    open my $file, '<', $path or return '';
    local $/;
    return scalar <$file> // '';
}

# The commands of a CMake file: [line, name, argument...], parentheses as arguments of their own.
my %parsed;

sub commands {
    my ($path) = @_;
    return @{ $parsed{$path} } if $parsed{$path};
    my ($text, $depth, @found) = (text($path), 0);
    my $take = sub { push @{ $found[-1] }, $_[0] if $depth };
    for ($text) {
        while ((pos // 0) < length) {
            if (/\G(\s+|#\[(=*)\[.*?\]\2\]|#[^\n]*)/gcs) { next }
            if (!$depth && /\G([A-Za-z_]\w*)\s*\(/gc) { push @found, [ 1 + (substr($text, 0, $-[0]) =~ tr/\n//), lc $1 ]; $depth = 1 }
            elsif (/\G"((?:[^"\\]|\\.)*)"/gcs) { $take->("\"$1\"") }
            elsif (/\G\[(=*)\[(.*?)\]\1\]/gcs) { $take->("\"$2\"") }
            elsif (/\G([()])/gc) { $depth += $1 eq '(' ? 1 : -1; $take->($1) }
            elsif (/\G((?:[^\s()#"\\]|\\.)+)/gcs) { $take->($1) }
            else { /\G./gcs }
        }
    }
    $parsed{$path} = \@found;
    return @found;
}

# The conditions under which a line is reached, innermost first: each as [expression, line, words].
sub conditions {
    my ($path, $line) = @_;
    # Of each open block: its conditions, when it has returned, and what is true behind blocks in it that may return.
    my @open = ({ function => 1, if => [], returns => [], behind => [] });
    for (commands($path)) {
        my ($at, $name, @words) = @$_;
        last if $at >= $line;
        my $block = $open[-1];
        if ($name eq 'if') { push @open, { if => [ [ expression(@words), $at, "@words" ] ], returns => [], behind => [] } }
        elsif ($name =~ /^(function|macro)$/) { push @open, { function => 1, if => [], returns => [], behind => [] } }
        elsif ($name =~ /^end(function|macro)$/) { pop @open if @open > 1 && $block->{function} }
        elsif ($block->{function}) { next }
        elsif ($name eq 'return') { push @{ $block->{returns} }, all(map { $_->[0] } @{ $block->{if} }) }
        elsif ($name eq 'endif') {
            pop @open;
            my $around = $open[-1];
            my (undef, $from, $said) = @{ $block->{if}[-1] };
            for my $returned (@{ $block->{returns} }) {
                unshift @{ $around->{behind} }, [ [ 'NOT', $returned ], $from, $said ];
                push @{ $around->{returns} }, all($returned, map { $_->[0] } @{ $around->{if} }) unless $around->{function};
            }
        }
        elsif ($name =~ /^else(if)?$/) {
            $block->{behind} = [];
            $block->{if}[0][0] = [ 'NOT', $block->{if}[0][0] ];
            unshift @{ $block->{if} }, [ expression(@words), $at, "@words" ] if $1;
        }
    }
    return map { (@{ $_->{behind} }, @{ $_->{if} }) } reverse @open;
}

sub all {
    my ($all, @others) = @_;
    $all = [ 'AND', $all, $_ ] for @others;
    return $all;
}

# OR binds least, then AND, then NOT. What is no single name or its value is an atom that no option decides.
sub expression {
    my @words = @_;
    my $depth = 0;
    for my $operator ('OR', 'AND') {
        for my $i (reverse 0 .. $#words) {
            $depth += $words[$i] eq ')' ? 1 : $words[$i] eq '(' ? -1 : 0;
            next if $depth || $words[$i] ne $operator;
            return [ $operator, expression(@words[ 0 .. $i - 1 ]), expression(@words[ $i + 1 .. $#words ]) ];
        }
    }
    return [ 'NOT', expression(@words[ 1 .. $#words ]) ] if @words > 1 && $words[0] eq 'NOT';
    return expression(@words[ 1 .. $#words - 1 ]) if @words > 2 && $words[0] eq '(' && $words[-1] eq ')';
    my ($name) = @words == 1 ? $words[0] =~ /^"?\$?\{?(\w+)\}?"?$/ : ();
    return [ 'NAME', $name // '' ];
}

# The options that make an expression false (or true), as {NAME => OFF}; nothing where options do not decide it.
sub settle {
    my ($expression, $value) = @_;
    my ($operator, $left, $right) = @$expression;
    return $option{$left} ? { $left => $value ? 'ON' : 'OFF' } : undef if $operator eq 'NAME';
    return settle($left, !$value) if $operator eq 'NOT';
    my ($one, $other) = (settle($left, $value), settle($right, $value));
    return $one && $other ? { %$one, %$other } : undef if ($operator eq 'OR') != !!$value;
    return $one // $other;
}

sub mend {
    my ($asked) = @_;
    my $near = '';
    for my $frame (grep { $_->{file} =~ m{^\Q$root\E/} } @{ $asked->{frames} }) {
        for (conditions($frame->{file}, $frame->{line})) {
            my ($expression, $line, $words) = @$_;
            my $set = settle($expression, 0);
            return 'turn it off: ' . join(' ', map { "-D$_=$set->{$_}" } sort keys %$set) . ' (the option that guards it)' if $set;
            my ($read) = grep { $option{$_} } $words =~ /(\w+)/g;
            $near ||= "; it depends on $read: if($words), " . short($frame->{file}) . ":$line" if $read;
        }
    }
    my $else = $asked->{fetched}
        ? "; or hand its sources in: -DFETCHCONTENT_SOURCE_DIR_\U$asked->{fetched}\E=/src/... -DFETCHCONTENT_FULLY_DISCONNECTED=ON" : '';
    return "no option of the project turns it off$near; take it out with a patch$else";
}

sub short { my ($path) = @_; $path =~ s{^\Q$root\E/}{}; return $path }

sub report {
    my ($when, $asked) = @_;
    my ($frame) = grep { $_->{file} =~ m{^\Q$root\E/} } @{ $asked->{at} // $asked->{frames} };
    my $where = $frame ? short($frame->{file}) . ":$frame->{line}, " : '';
    print "error: $when asks the network for $asked->{address} ($where$asked->{by}); " . mend($asked) . "\n";
}

# --- what the build itself would download --------------------------------------------------------------------------------

# ninja says which commands the targets need: a project that is only declared asks for nothing.
sub building {
    open my $ninja, '-|', 'ninja', '-C', $given{B}, '-t', 'commands', @targets or return;
    while (my $line = <$ninja>) {
        for my $one (@external) {
            ask({ %$one, when => 'the build' }) if $line =~ m{ \S*/\Q$one->{name}\E-download(?=[\s"']|$)};
        }
        for my $part (split / && | \|\| |;/, $line) {
            my ($who, $address) = downloads(grep { length } split /[\s"']+/, $part);
            next unless $who;
            my ($from) = grep { index($_->{text}, $address) >= 0 } @custom;
            ask({ %{ $from // { frames => [] } }, by => ($from ? "$from->{by}, " : '') . $who, address => $address, when => 'the build' });
        }
    }
    close $ninja;
}

# --- the run -------------------------------------------------------------------------------------------------------------

sub configure {
    open my $out, '>', $log or die "$log: $!";
    pipe my $reading, my $writing or die "pipe: $!";
    my $child = fork // die "fork: $!";
    if (!$child) {
        setpgrp;
        open STDOUT, '>>', $log and open STDERR, '>&', $writing and exec @cmake, '--trace-expand', '--trace-format=json-v1';
        die "$cmake[0]: $!";
    }
    close $writing;
    my $stopped = 0;
    while (my $line = <$reading>) {
        # What is printed without a line end stands before the next line of the trace.
        my ($text, $trace) = $line =~ /^(.*?)(\{"args":\[.*\})$/ ? ($1, $2) : ($line, '');
        syswrite $out, $text if length $text && $text !~ /^\{"version":/;
        next if !$trace || $trace !~ $traced;
        if (executed($1, $2, $3, $4, $5)) { $stopped = 1; kill 'KILL', -$child; last }
    }
    close $reading;
    waitpid $child, 0;
    return $? == 0 && !$stopped;
}

$| = 1;
my $configured = configure();
print text($log);
if ($configured) { building() }
elsif (my ($last) = grep { $_ && $_->{cmd} =~ /^ExternalProject_Add$/i } @stack) {
    my ($name) = words($last->{args});
    ask($_) for grep { $_->{name} eq $name } @external;
}
my %host = map { $_ => 1 } text($log) =~ /(?:[Cc]ould not resolve host(?:name)?:?|unable to resolve host address) ['"‘]?([\w.-]+)/g;
ask({ address => $_, by => 'says its log, not which command', frames => [] }) for @asked ? () : sort keys %host;
report($_->{when} // 'configure', $_) for @asked;
exit($configured && !@asked ? 0 : 1);

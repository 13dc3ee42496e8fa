// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ownable2Step, Ownable} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Text} from "./Text.sol";
import "./Errors.sol";

/// @title Who serves each epoch
/// @notice The owner announces an epoch and allows operators; operators register themselves, with their node's
/// identity key agreeing; once started, an epoch never changes. The committee takes over on the Authnet chain,
/// which observes this contract: nothing here moves a key.
abstract contract Epochs is Ownable2Step, EIP712 {
    uint256 public constant MAX_MEMBERS = 64;
    uint256 public constant MAX_OPERATORS = 128;
    uint256 public constant MAX_TEXT = 200;
    uint64 public constant MIN_NOTICE = 1 days;

    enum Status {
        None,
        Open,
        Started,
        Aborted
    }

    /// @dev What an operator states about its node. Identity, consensus key, peer id and CometBFT id are keys:
    /// fixed from registration on. The three addresses may be corrected until the epoch starts.
    struct Registration {
        uint256 identityX;
        uint256 identityY;
        bytes32 consensus;
        string peerId;
        bytes20 cometId;
        string p2pAddress;
        string cometAddress;
        string endpoint;
    }

    struct Member {
        address operator;
        Registration node;
    }

    struct EpochView {
        uint64 epoch;
        uint32 n;
        uint32 k;
        uint32 t;
        uint64 previous;
        uint64 next;
        uint64 noticeS;
        Status status;
        bool startWhenFull;
        uint64 startedAt;
        uint64 startedBlock;
        address[] operators;
        Member[] members;
    }

    struct Epoch {
        uint32 n;
        uint32 k;
        uint32 t;
        uint32 registered;
        uint64 previous;
        uint64 next;
        uint64 noticeS;
        Status status;
        bool startWhenFull;
        uint64 startedAt;
        uint64 startedBlock;
        address[] operators;
        mapping(address => bool) allowed;
        mapping(address => Registration) nodes;
        mapping(bytes32 => bool) keyInUse;
    }

    bytes32 private constant _REGISTRATION_TYPEHASH = keccak256(
        "Registration(uint64 epoch,address operator,uint256 identityX,uint256 identityY,bytes32 consensus,"
        "string peerId,bytes20 cometId,string p2pAddress,string cometAddress,string endpoint)"
    );

    string public networkId;
    bool public immutable dev;
    /// @notice Highest epoch number ever announced; numbers are given in order and never reused.
    uint64 public lastEpoch;
    mapping(uint64 => Epoch) private _epochs;

    event EpochAnnounced(uint64 indexed epoch, uint32 n, uint32 k, uint32 t, uint64 noticeS);
    event OperatorAllowed(uint64 indexed epoch, address indexed operator);
    event OperatorRemoved(uint64 indexed epoch, address indexed operator);
    event MemberRegistered(uint64 indexed epoch, address indexed operator);
    event MemberUpdated(uint64 indexed epoch, address indexed operator);
    event EpochStarted(uint64 indexed epoch);
    event EpochAborted(uint64 indexed epoch);

    constructor(string memory networkId_, bool dev_) EIP712("Authnet Registry", "1") {
        if (!Text.isName(networkId_, 32)) revert BadNetworkId();
        networkId = networkId_;
        dev = dev_;
    }

    // ---- owner

    /// @notice Open the next epoch for registration.
    /// @param startWhenFull start in the block of the n-th registration instead of waiting for `startEpoch`.
    function announceEpoch(uint32 n, uint32 k, uint32 t, uint64 noticeS, bool startWhenFull)
        external
        onlyOwner
        returns (uint64 epoch)
    {
        bool sound = n <= MAX_MEMBERS && k > t && uint256(n) >= uint256(k) + 2 * uint256(t) && n > 3 * uint256(t);
        if (!sound) revert BadParameters(n, k, t);
        uint64 previous = _lastKept();
        if (previous != 0 && _epochs[previous].status != Status.Started) revert PreviousNotStarted(previous);
        if (!dev && previous != 0 && noticeS < MIN_NOTICE) revert NoticeTooShort(noticeS);
        epoch = ++lastEpoch;
        Epoch storage e = _epochs[epoch];
        (e.n, e.k, e.t, e.noticeS) = (n, k, t, noticeS);
        (e.previous, e.status, e.startWhenFull) = (previous, Status.Open, startWhenFull);
        if (previous != 0) _epochs[previous].next = epoch;
        emit EpochAnnounced(epoch, n, k, t, noticeS);
    }

    /// @notice Allow operators to register. Party index j is the j-th registered operator in this order.
    function allowOperators(uint64 epoch, address[] calldata operators) external onlyOwner {
        Epoch storage e = _open(epoch);
        if (e.operators.length + operators.length > MAX_OPERATORS) revert TooManyOperators();
        for (uint256 i = 0; i < operators.length; i++) {
            address operator = operators[i];
            if (operator == address(0)) revert NotAllowed(operator);
            if (e.allowed[operator]) revert AlreadyAllowed(operator);
            e.allowed[operator] = true;
            e.operators.push(operator);
            emit OperatorAllowed(epoch, operator);
        }
    }

    /// @notice Take an operator, and its registration if there is one, out of an epoch that has not started.
    function removeOperator(uint64 epoch, address operator) external onlyOwner {
        Epoch storage e = _open(epoch);
        if (!e.allowed[operator]) revert NotAllowed(operator);
        if (_isRegistered(e, operator)) {
            Registration storage r = e.nodes[operator];
            _setKeys(e, r.identityX, r.identityY, r.consensus, r.peerId, r.cometId, false);
            delete e.nodes[operator];
            e.registered--;
        }
        delete e.allowed[operator];
        uint256 i = 0;
        while (e.operators[i] != operator) i++;
        for (; i + 1 < e.operators.length; i++) {
            e.operators[i] = e.operators[i + 1];
        }
        e.operators.pop();
        emit OperatorRemoved(epoch, operator);
    }

    /// @notice Freeze a full epoch; from here on nodes observe it.
    function startEpoch(uint64 epoch) external onlyOwner {
        Epoch storage e = _open(epoch);
        if (e.registered != e.n) revert EpochNotFull(epoch, e.registered, e.n);
        _start(epoch, e);
    }

    /// @notice Call the newest epoch off that is not called off yet, so that who announced twice can take both back.
    /// The first epoch can not be called off once a chain may rest on it.
    function abortEpoch(uint64 epoch) external onlyOwner {
        Epoch storage e = _known(epoch);
        if (e.status == Status.Aborted) revert EpochIsAborted(epoch);
        if (epoch != _lastKept() || (e.previous == 0 && e.status == Status.Started)) revert CannotAbort(epoch);
        e.status = Status.Aborted;
        if (e.previous != 0) _epochs[e.previous].next = 0;
        emit EpochAborted(epoch);
    }

    // ---- operators

    /// @notice Register the caller's node for `epoch`; `signature` is the node identity key's over all of it.
    function register(uint64 epoch, Registration calldata node, bytes calldata signature) external {
        Epoch storage e = _open(epoch);
        if (!e.allowed[msg.sender]) revert NotAllowed(msg.sender);
        if (_isRegistered(e, msg.sender)) revert AlreadyRegistered(msg.sender);
        if (e.registered == e.n) revert EpochIsFull(epoch);
        _checkFields(node);
        _checkSignature(epoch, node, signature);
        _setKeys(e, node.identityX, node.identityY, node.consensus, node.peerId, node.cometId, true);
        e.nodes[msg.sender] = node;
        e.registered++;
        emit MemberRegistered(epoch, msg.sender);
        if (e.startWhenFull && e.registered == e.n) _start(epoch, e);
    }

    /// @notice Correct the caller's addresses; keys must be the registered ones.
    function updateAddresses(uint64 epoch, Registration calldata node, bytes calldata signature) external {
        Epoch storage e = _open(epoch);
        if (!_isRegistered(e, msg.sender)) revert NotRegistered(msg.sender);
        Registration storage old = e.nodes[msg.sender];
        bool same = old.identityX == node.identityX && old.identityY == node.identityY
            && old.consensus == node.consensus && old.cometId == node.cometId
            && keccak256(bytes(old.peerId)) == keccak256(bytes(node.peerId));
        if (!same) revert KeyChanged();
        _checkFields(node);
        _checkSignature(epoch, node, signature);
        old.p2pAddress = node.p2pAddress;
        old.cometAddress = node.cometAddress;
        old.endpoint = node.endpoint;
        emit MemberUpdated(epoch, msg.sender);
    }

    // ---- views

    /// @notice The whole epoch in one call; members in party order.
    function getEpoch(uint64 epoch) external view returns (EpochView memory v) {
        Epoch storage e = _known(epoch);
        v.epoch = epoch;
        (v.n, v.k, v.t, v.noticeS) = (e.n, e.k, e.t, e.noticeS);
        (v.previous, v.next, v.status, v.startWhenFull) = (e.previous, e.next, e.status, e.startWhenFull);
        (v.startedAt, v.startedBlock) = (e.startedAt, e.startedBlock);
        v.operators = e.operators;
        v.members = _members(e);
    }

    /// @notice Digest that a node's identity key signs to register (EIP-712).
    function registrationDigest(uint64 epoch, address operator, Registration calldata node)
        public
        view
        returns (bytes32)
    {
        bytes memory fixedPart = abi.encode(
            _REGISTRATION_TYPEHASH, epoch, operator, node.identityX, node.identityY, node.consensus
        );
        bytes memory rest = abi.encode(
            keccak256(bytes(node.peerId)),
            node.cometId,
            keccak256(bytes(node.p2pAddress)),
            keccak256(bytes(node.cometAddress)),
            keccak256(bytes(node.endpoint))
        );
        return _hashTypedDataV4(keccak256(bytes.concat(fixedPart, rest)));
    }

    /// @notice The node list as clients of the first Torus network read it; both arguments are ignored.
    function getNodeSet(string calldata, bytes32)
        external
        view
        returns (
            uint256 currentEpoch,
            string[] memory endpoints,
            uint256[] memory pubX,
            uint256[] memory pubY,
            uint256[] memory indexes
        )
    {
        currentEpoch = servingEpoch();
        Member[] memory members = currentEpoch == 0 ? new Member[](0) : _members(_epochs[uint64(currentEpoch)]);
        endpoints = new string[](members.length);
        pubX = new uint256[](members.length);
        pubY = new uint256[](members.length);
        indexes = new uint256[](members.length);
        for (uint256 i = 0; i < members.length; i++) {
            endpoints[i] = Text.withoutScheme(members[i].node.endpoint);
            pubX[i] = members[i].node.identityX;
            pubY[i] = members[i].node.identityY;
            indexes[i] = i + 1;
        }
    }

    /// @notice Newest started epoch whose notice is over, 0 before the first start. A hint: the chain decides.
    function servingEpoch() public view returns (uint64 epoch) {
        epoch = _lastKept();
        while (epoch != 0) {
            Epoch storage e = _epochs[epoch];
            bool over = e.previous == 0 || block.timestamp >= uint256(e.startedAt) + e.noticeS;
            if (e.status == Status.Started && over) return epoch;
            epoch = e.previous;
        }
    }

    // ---- inside

    function _start(uint64 epoch, Epoch storage e) private {
        e.status = Status.Started;
        e.startedAt = uint64(block.timestamp);
        e.startedBlock = uint64(block.number);
        emit EpochStarted(epoch);
    }

    function _lastKept() private view returns (uint64 epoch) {
        epoch = lastEpoch;
        while (epoch != 0 && _epochs[epoch].status == Status.Aborted) epoch--;
    }

    function _known(uint64 epoch) private view returns (Epoch storage e) {
        e = _epochs[epoch];
        if (e.status == Status.None) revert UnknownEpoch(epoch);
    }

    function _open(uint64 epoch) private view returns (Epoch storage e) {
        e = _known(epoch);
        if (e.status == Status.Started) revert EpochHasStarted(epoch);
        if (e.status == Status.Aborted) revert EpochIsAborted(epoch);
    }

    function _isRegistered(Epoch storage e, address operator) private view returns (bool) {
        return e.nodes[operator].consensus != 0;
    }

    function _members(Epoch storage e) private view returns (Member[] memory members) {
        members = new Member[](e.registered);
        uint256 found = 0;
        for (uint256 i = 0; i < e.operators.length; i++) {
            address operator = e.operators[i];
            if (_isRegistered(e, operator)) members[found++] = Member(operator, e.nodes[operator]);
        }
    }

    /// @dev Claims (or frees) each key under its kind, so that no two members of an epoch share one.
    function _setKeys(
        Epoch storage e,
        uint256 x,
        uint256 y,
        bytes32 consensus,
        string memory peerId,
        bytes20 cometId,
        bool used
    ) private {
        bytes32[4] memory keys = [
            keccak256(abi.encode("identity", x, y)),
            keccak256(abi.encode("consensus", consensus)),
            keccak256(abi.encode("peer", peerId)),
            keccak256(abi.encode("comet", cometId))
        ];
        for (uint256 i = 0; i < keys.length; i++) {
            if (used && e.keyInUse[keys[i]]) revert KeyInUse(keys[i]);
            e.keyInUse[keys[i]] = used;
        }
    }

    function _checkFields(Registration calldata node) private view {
        if (node.consensus == 0 || node.cometId == 0 || !Text.isToken(node.peerId, MAX_TEXT)) revert BadKey();
        if (!Text.isToken(node.p2pAddress, MAX_TEXT)) revert BadAddress("p2pAddress");
        if (!Text.startsWith(node.p2pAddress, "/")) revert BadAddress("p2pAddress");
        if (!Text.isToken(node.cometAddress, MAX_TEXT)) revert BadAddress("cometAddress");
        if (!Text.isToken(node.endpoint, MAX_TEXT)) revert BadAddress("endpoint");
        bool web = Text.startsWith(node.endpoint, "https://") || (dev && Text.startsWith(node.endpoint, "http://"));
        if (!web) revert BadAddress("endpoint");
    }

    /// @dev The address of (x, y) recovered from the signature: only the holder of that key could have made it,
    /// which also shows that (x, y) is a point of the curve.
    function _checkSignature(uint64 epoch, Registration calldata node, bytes calldata signature) private view {
        address expected = address(uint160(uint256(keccak256(abi.encode(node.identityX, node.identityY)))));
        bytes32 digest = registrationDigest(epoch, msg.sender, node);
        (address signer, ECDSA.RecoverError problem,) = ECDSA.tryRecoverCalldata(digest, signature);
        if (problem != ECDSA.RecoverError.NoError || signer != expected) revert BadIdentitySignature();
    }
}
